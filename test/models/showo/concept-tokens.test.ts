import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { startEngine, Rng, tf } from '../../../src/engine';
import type { ShowoModel } from '../../../src/models/showo/model';
import { learnConceptTokens } from '../../../src/sft/concept-tokens';
import { noiseImage, tinyModel } from './tiny-showo';

const FIRST = 40 + 10 + 16 + 1; // text, special tokens, codes, mask
const OPTIONS = { initializer: 'w5', understanding: 2, generation: 1 };

before(() => startEngine({ precision: 'float32' }));

function personalized(): ShowoModel {
  const model = tinyModel();
  model.addConceptTokens(OPTIONS, new Rng(4));
  return model;
}

describe('a subject of three tokens and its <sks>', () => {
  test('is expanded where it is first spoken of, in questions and in prompts', () => {
    const model = personalized();
    const all = [FIRST, FIRST + 1, FIRST + 2, FIRST + 3];
    const asked = model.prompt(['w7 <sks> w8', '<sks>'], 'understand');
    assert.deepEqual(asked, { task: 'understand', row: { ids: [1, 7, ...all, 8, FIRST + 3], image: false } });
    assert.deepEqual(model.prompt(['<sks> w3'], 'generate'), { task: 'generate', condition: [...all, 3] });
    const seen = model.prompt([noiseImage(8, 8, 1), 'w7 <sks>'], 'understand');
    assert.deepEqual(seen.task === 'understand' && seen.row.ids.slice(-5), [7, ...all]);
    model.dispose();
  });

  test('may be said by an answer, and replayed', () => {
    const model = personalized();
    tf.tidy(() => model.variables()['showo.lm_head.extra.bias'].assign(tf.fill([4], 6)));
    const prompt = model.prompt(['w7'], 'understand');
    const requests = [1, 2].map((seed) => ({ prompt, rng: new Rng(seed) }));
    const said = model.sampleText(requests, { maxNewTokens: 4, temperature: 0.7 });
    const ids = said.flatMap(({ transitions: [t] }) => [...t.sampledIds]);
    assert.ok(ids.includes(FIRST + 3) && !ids.some((id) => id >= 40 && id !== FIRST + 3), ids.join());
    assert.ok(said.some(({ text }) => text.split(' ').includes('<sks>')));
    const transitions = said.flatMap((segment) => segment.transitions);
    const replayed = tf.tidy(() => model.replay(transitions).arraySync());
    transitions.forEach(({ logProbs }, b) =>
      logProbs.forEach((old, i) => assert.ok(Math.abs(replayed[b][i] - old) < 1e-4)),
    );
    model.dispose();
  });

  test('has rows that get a gradient from both pathways, in the embedding and in the output layer', () => {
    const model = tinyModel();
    const rows = model.addConceptTokens(OPTIONS, new Rng(4));
    const variables = model.variables();
    const examples = [
      { task: 'understand', parts: [noiseImage(8, 8, 1), 'w7 <sks>'], answer: '<sks> w3' },
      { task: 'generate', prompt: '<sks> w3', image: noiseImage(8, 8, 2) },
    ] as const;
    for (const example of examples) {
      const { value, grads } = tf.variableGrads(() => model.supervisedLoss([example], new Rng(1), { cfgDropout: 0 }));
      const embed = tf.tidy(() => tf.sum(tf.abs(grads[variables[rows.embed].name]), 1).arraySync() as number[]);
      assert.ok(
        embed.every((g) => g > 0),
        `${example.task}: ${embed.join()}`,
      );
      assert.ok(tf.tidy(() => tf.sum(tf.abs(grads[variables[rows.output].name])).dataSync()[0]) > 0);
      tf.dispose([value, grads]);
    }
    model.dispose();
  });

  test('is added once, can be removed, and wants a word that there is', () => {
    const model = tinyModel();
    const tensors = tf.memory().numTensors;
    const names = Object.keys(model.variables());
    assert.throws(() => model.addConceptTokens({ initializer: 'dog' }, new Rng(1)), /no 'dog'/);
    assert.throws(() => model.addConceptTokens({ ...OPTIONS, generation: -1 }, new Rng(1)), RangeError);
    const rows = model.addConceptTokens(OPTIONS, new Rng(1));
    assert.deepEqual(Object.keys(model.variables()), [...names, ...Object.values(rows)]);
    assert.throws(() => model.addConceptTokens(OPTIONS, new Rng(1)), /remove them first/);
    const reference = model.frozenCopy();
    assert.deepEqual(reference.variables(), {});
    assert.deepEqual(reference.prompt(['<sks>'], 'generate'), model.prompt(['<sks>'], 'generate'));
    reference.dispose();
    model.removeConceptTokens();
    assert.deepEqual(Object.keys(model.variables()), names);
    assert.equal(tf.memory().numTensors, tensors);
    model.dispose();
  });
});

test('two stages teach the rows and nothing else; joint is one stage; the loss falls', async () => {
  for (const initialization of ['two_stage', 'joint'] as const) {
    const model = tinyModel();
    const rows = model.addConceptTokens(OPTIONS, new Rng(4));
    const references = [1, 2].map((seed) => ({
      image: noiseImage(8, 8, seed),
      caption: 'w3 <sks>',
      questions: [
        { question: 'w7 <sks>', answer: 'w9 w8' },
        { question: 'w6', answer: '<sks>' },
      ],
    }));
    const before = new Map(Object.entries(model.variables()).map(([name, v]) => [name, v.dataSync().slice()]));
    const reports: [string, number][] = [];
    const options = { initialization, steps: 30, learningRate: 3e-2, seed: 1 };
    for await (const { stage, loss } of learnConceptTokens(model, rows, references, options))
      reports.push([stage, loss]);
    const stages = initialization === 'joint' ? ['joint'] : ['understanding', 'generation'];
    assert.deepEqual([...new Set(reports.map(([stage]) => stage))], stages);
    assert.equal(reports.length, 30 * stages.length);
    const meanOf = (list: [string, number][]) => list.reduce((sum, [, loss]) => sum + loss, 0) / list.length;
    assert.ok(meanOf(reports.slice(20, 30)) < 0.95 * meanOf(reports.slice(0, 5)));
    for (const [name, variable] of Object.entries(model.variables())) {
      const still = variable.dataSync().every((value, i) => value === before.get(name)?.[i]);
      assert.equal(still, !Object.values(rows).includes(name), name);
    }
    model.dispose();
  }
  const model = tinyModel();
  const rows = model.addConceptTokens(OPTIONS, new Rng(4));
  await assert.rejects(learnConceptTokens(model, rows, [], { seed: 1 }).next(), /at least one reference/);
  model.dispose();
});
