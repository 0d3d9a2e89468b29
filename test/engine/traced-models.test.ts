/** What training computes, traced: the bits of the single operations, on every backbone. */
import { strict as assert } from 'node:assert';
import { before, describe, it } from 'node:test';
import { releaseTraced, Rng, runTraced, startEngine, tf, traceReports, withoutTracing } from '../../src/engine';
import { tracingWorks } from '../../src/engine';
import { partOf } from '../../src/miniworld/curricula/janus-tokenizer-task';
import { magvitTask } from '../../src/miniworld/curricula/showo-tokenizer-task';
import { ChameleonImageTokenizer, vqganLoss } from '../../src/models/chameleon/image-tokenizer';
import { isTokenizerParameter, JanusImageTokenizer } from '../../src/models/janus/image-tokenizer';
import type { SupervisedExample, Transition, UnifiedModel } from '../../src/models/unified';
import { Lora } from '../../src/nn/adapters';
import { withCheckpointing } from '../../src/nn/checkpointing';
import { Llama, LlamaBlock } from '../../src/nn/llama';
import { tinyConfig as chameleonConfig, tinyModel as tinyChameleon } from '../models/chameleon/fixture';
import { noiseImage, tinyImages, tinyModel as tinyShowo } from '../models/showo/tiny-showo';
import { tinyJanus } from '../miniworld/tiny-janus';
import { livelyStore } from '../nn/tiny-network';
import { backbones, tinyTask } from '../recipes/tiny-task';

let works = false;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  works = tracingWorks();
});

type Variables = Readonly<Record<string, tf.Variable>>;

/** Values and gradients of one call, by name, as bits would be compared. */
type Numbers = Readonly<Record<string, readonly number[]>>;

/** A computation that is called with inputs that vary: the first and the last call have the same. */
interface Work {
  readonly variables: Variables;
  /** @param call 0 or 1: with which inputs */
  readonly compute: (call: 0 | 1) => tf.Tensor;
}

/** The work's value, and the gradients of the mean of it. */
function run(owner: object, { variables, compute }: Work, call: 0 | 1): Numbers {
  const values: tf.Tensor[] = [];
  const { grads, value } = runTraced(owner, 'work', () => {
    if (Object.keys(variables).length === 0) return { value: compute(call), grads: {} };
    const found = tf.variableGrads(() => {
      const value = compute(call);
      values.splice(0, 1, tf.keep(tf.clone(value)));
      return tf.mean<tf.Scalar>(value);
    }, Object.values(variables));
    found.value.dispose();
    return { value: values[0], grads: found.grads };
  });
  const named = Object.entries(variables).flatMap(([name, { name: own }]) =>
    own in grads ? [[name, Array.from(grads[own].dataSync())] as const] : [],
  );
  const numbers = { ...Object.fromEntries(named), value: Array.from(value.dataSync()) };
  tf.dispose([value, grads] as tf.TensorContainer);
  return numbers;
}

/** Traced calls, the first of which records and the second compiles, against plain ones. */
async function isTheSameTraced(work: Work): Promise<void> {
  const tensors = tf.memory().numTensors;
  const owner = {};
  const plain: Numbers[] = [];
  for (const call of [0, 1] as const) plain.push(await withoutTracing(() => run(owner, work, call)));
  const reached = Object.values(plain[0]).filter((values) => values.some((value) => value !== 0));
  assert.ok(reached.length > Object.keys(work.variables).length / 10, 'there are gradients that are not 0');
  for (const call of [0, 1, 0] as const) assert.deepEqual(run(owner, work, call), plain[call]);
  if (works) {
    const report = traceReports().find(({ name }) => name === 'work');
    assert.ok(report && report.programs.some(({ runs }) => runs > 0), report?.reason);
  }
  releaseTraced(owner);
  assert.ok(!traceReports().some(({ name }) => name === 'work'), 'nothing is registered after its owner is gone');
  assert.equal(tf.memory().numTensors, tensors, 'no tensor is left');
}

const examples = (side: number): SupervisedExample[] => {
  const image = noiseImage(side, side, 1);
  return [
    { task: 'generate', prompt: 'w20 w22', image },
    { task: 'understand', parts: [image, 'w25 w26'], answer: 'w22 w23' },
    { task: 'text', text: 'w24 w25 w26' },
  ];
};

/** Draws and answers of the model, that are replayed: an image's together, then an answer's. */
function recorded(model: UnifiedModel): { images: Transition[]; answers: Transition[] }[] {
  return [1, 2].map((seed) => {
    const ask = (task: 'generate' | 'understand') =>
      [0, 1].map((i) => ({ prompt: model.prompt(['w25 w21'], task), rng: new Rng(seed).split(i) }));
    const steps = model.modelType === 'showo' ? { steps: 3 } : {};
    const images = model.imageSampler(ask('generate'), { guidanceScale: 2, ...steps }).finish();
    const answers = model.sampleText(ask('understand'), { maxNewTokens: 4 });
    return {
      images: images.flatMap(({ transitions }) => transitions),
      answers: answers.flatMap(({ transitions }) => transitions),
    };
  });
}

async function replays(model: UnifiedModel, kinds: readonly ('images' | 'answers')[]): Promise<void> {
  const calls = recorded(model);
  for (const kind of kinds)
    await isTheSameTraced({
      variables: model.variables(),
      compute: (call) => model.replay(calls[call][kind]),
    });
}

async function learns(model: UnifiedModel, side: number): Promise<void> {
  const batches = [1, 2].map((seed) => model.supervisedBatch?.(examples(side), new Rng(seed), { cfgDropout: 0 }));
  await isTheSameTraced({
    variables: model.variables(),
    compute: (call) => batches[call]?.loss() as tf.Scalar,
  });
  for (const batch of batches) tf.dispose(batch?.tensors);
}

describe('a traced step equals the single operations to the bit', () => {
  for (const backbone of ['showo', 'janus', 'chameleon'] as const) {
    it(`${backbone}: supervised loss, replay, and its frozen copy in bfloat16`, async () => {
      const model = await backbones[backbone]();
      const [image] = tinyTask(backbone).subject.references;
      await learns(model, image.image.width);
      await replays(model, ['images', 'answers']);
      const frozen = model.frozenCopy('BF16');
      await replays(frozen, ['images']);
      frozen.dispose();
      model.dispose();
      assert.deepEqual(traceReports(), [], 'a model takes what was compiled for its sampler with it');
    });
  }

  for (const [name, make] of [
    ['showo', tinyShowo],
    ['chameleon', tinyChameleon],
  ] as const) {
    it(`${name}: with LoRA, and with gradient checkpointing`, async () => {
      const model = make();
      model.gradientCheckpointing = true;
      await learns(model, 8);
      const lora = Lora.create(model.layers, { rank: 2, targets: ['q_proj', 'lm_head'] }, new Rng(2));
      model.attachAdapters(lora as never);
      for (const variable of Object.values(model.variables()))
        tf.tidy(() => variable.assign(tf.tensor(new Rng(7).normal(variable.size), variable.shape)));
      await replays(model, ['images']);
      model.gradientCheckpointing = false;
      await replays(model, ['answers']);
      model.dispose();
    });
  }

  it('LoRA on weights stored as bfloat16, under gradient checkpointing', async () => {
    const { text } = chameleonConfig();
    const net = new Llama(text);
    const store = livelyStore(net, new Rng(5), 0.3);
    const frozen = store.clone('BF16');
    const lora = Lora.create(net.with(frozen), { rank: 2, targets: ['q_proj', 'up_proj'] }, new Rng(3));
    for (const variable of Object.values(lora.store.variables))
      tf.tidy(() => variable.assign(tf.tensor(new Rng(7).normal(variable.size), variable.shape)));
    const rows = [1, 2].map((k) =>
      tf.tensor2d(
        Array.from({ length: 40 }, (_, i) => (i * k) % 60),
        [2, 20],
        'int32',
      ),
    );
    for (const network of [lora.net, withCheckpointing(lora.net, LlamaBlock)])
      await isTheSameTraced({
        variables: lora.store.variables,
        compute: (call) => tf.square(network.forward(network.embed_tokens.forward(rows[call]))),
      });
    tf.dispose(rows);
    for (const owner of [lora.store, frozen, store]) owner.dispose();
  });

  it('the image tokenizers: MAGVIT-v2 and the two with a codebook', async () => {
    const pixelsOf = (side: number) =>
      [1, 2].map((seed) => tf.tensor4d(new Rng(seed).normal(2 * side * side * 3), [2, side, side, 3]));
    const [small, wide] = [pixelsOf(8), pixelsOf(32)];
    const magvit = tinyImages();
    const task = magvitTask(magvit, () => new Uint8Array(0), 2, 8);
    await isTheSameTraced({
      variables: task.variables,
      compute: (call) => task.loss({ pixels: small[call] }).loss,
    });
    const chameleon = ChameleonImageTokenizer.random(chameleonConfig(), new Rng(1));
    const { vqgan } = chameleon;
    await isTheSameTraced({
      variables: vqgan.variables(),
      compute: (call) => vqganLoss(vqgan, small[call], false).loss,
    });
    const janus = tinyJanus();
    const { network } = janus;
    const images = new JanusImageTokenizer(network.config.vq, network.layers.model.vqmodel);
    await isTheSameTraced({
      variables: partOf(network, isTokenizerParameter),
      compute: (call) => images.loss(wide[call], true).loss,
    });
    tf.dispose([small, wide]);
    for (const owner of [magvit, chameleon, janus]) owner.dispose();
  });
});
