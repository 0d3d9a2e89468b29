import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { readValues, Rng, startEngine, tf } from '../../../src/engine';
import type { ShowoModel } from '../../../src/models/showo/model';
import { Lora } from '../../../src/nn/adapters';
import type { SupervisedExample } from '../../../src/models/unified';
import { tinyModel } from './tiny-showo';

before(() => startEngine({ precision: 'float32', quiet: true }));

const ASKED: SupervisedExample = { task: 'understand', parts: ['w5 w6'], answer: 'w7 w8' };

function lossAndGradients(model: ShowoModel): { loss: number; gradients: Record<string, Float32Array> } {
  const variables = model.variables();
  const { value, grads } = tf.variableGrads(() => model.supervisedLoss([ASKED], new Rng(1)), Object.values(variables));
  const gradients = Object.fromEntries(
    Object.entries(variables).map(([name, { name: own }]) => [name, readValues(() => tf.clone(grads[own]))]),
  );
  const loss = readValues(() => tf.clone(value))[0];
  tf.dispose([value, ...Object.values(grads)]);
  return { loss, gradients };
}

test('adapters alone learn; a reference costs no weights but theirs', () => {
  const start = tf.memory().numTensors;
  const model = tinyModel();
  const plain = lossAndGradients(model).loss;
  const adapters = Lora.create(model.layers, { rank: 2, targets: ['q_proj', 'lm_head'] }, new Rng(2));
  model.attachAdapters(adapters);
  assert.throws(() => model.attachAdapters(adapters), /adapters already/);
  assert.deepEqual(
    Object.keys(model.variables()),
    ['showo.model.layers.0.self_attn.q_proj', 'showo.model.layers.1.self_attn.q_proj', 'showo.lm_head'].flatMap(
      (layer) => [`${layer}.lora_A.weight`, `${layer}.lora_B.weight`],
    ),
  );
  assert.equal(lossAndGradients(model).loss, plain, 'fresh adapters change nothing');
  const held = tf.memory().numTensors;
  const reference = model.frozenCopy('BF16');
  assert.equal(tf.memory().numTensors, held + 6);
  assert.deepEqual(reference.variables(), {});
  for (const [name, variable] of Object.entries(model.variables()))
    if (name.includes('lora_B')) {
      const { shape, size } = variable;
      tf.tidy(() => variable.assign(tf.tensor(new Rng(3).split(name).normal(size), shape)));
    }
  const lossOf = (one: ShowoModel) => readValues(() => one.supervisedLoss([ASKED], new Rng(1)))[0];
  assert.ok(Math.abs(lossOf(model) - plain) > 1e-4, 'adapters that learned do');
  assert.equal(lossOf(reference), plain);
  reference.dispose();
  model.dispose();
  assert.equal(tf.memory().numTensors, start);
});

test('blocks that are computed again for the gradient give the same gradients, with a subject and adapters too', () => {
  const model = tinyModel();
  const compare = () => {
    model.gradientCheckpointing = false;
    const before = lossAndGradients(model);
    model.gradientCheckpointing = true;
    assert.deepEqual(lossAndGradients(model), before);
  };
  compare();
  model.addConceptTokens({ initializer: 'w5', understanding: 2, generation: 1 }, new Rng(3));
  compare();
  model.attachAdapters(Lora.create(model.layers, { rank: 2, targets: ['fc1', 'dense'] }, new Rng(4)));
  compare();
  model.dispose();
});
