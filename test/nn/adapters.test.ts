import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AdamW, Rng, startEngine, tf } from '../../src/engine';
import { readSafetensors, type WritableTensor, writeSafetensors } from '../../src/io';
import { loadAdapters, saveAdapters } from '../../src/nn/adapter-files';
import { Lora } from '../../src/nn/adapters';
import { Linear } from '../../src/nn/layers';
import { ParamStore } from '../../src/nn/store';
import { apart, livelyStore, logitsOf, TINY_CONFIG, TINY_IDS, TinyNetwork } from './tiny-network';

const TARGETS = ['mlp.fc1', 'head'];
const LAYERS = ['layers.0.mlp.fc1', 'layers.1.mlp.fc1', 'head'];

let scratch: string;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  scratch = await mkdtemp(path.join(tmpdir(), 'unilab-adapters-'));
});
after(() => rm(scratch, { recursive: true }));

function tiny(tied = false): { model: TinyNetwork; store: ParamStore } {
  const net = new TinyNetwork({ ...TINY_CONFIG, tied });
  const store = livelyStore(net, new Rng(1));
  return { model: net.with(store), store };
}

/** Adapters that do something: B is 0 at first. */
function adapted(base: TinyNetwork): Lora<TinyNetwork> {
  const lora = Lora.create(base, { rank: 3, alpha: 6, targets: TARGETS }, new Rng(5));
  for (const [name, variable] of Object.entries(lora.store.variables))
    if (name.includes('lora_B'))
      tf.tidy(() => void variable.assign(tf.tensor(new Rng(6).split(name).normal(variable.size), variable.shape)));
  return lora;
}

const snapshot = (store: ParamStore) => store.values();

describe('adapters', () => {
  it('compute W x + alpha / rank B A x', () => {
    const linear = new Linear(2, 1, { bias: false });
    const store = ParamStore.fill(linear, () => Float32Array.of(1, 2));
    const numbers: Record<string, number[]> = { 'lora_A.weight': [3, 4], 'lora_B.weight': [5] };
    const options = { rank: 1, alpha: 2, targets: /.*/ };
    const lora = Lora.fill(linear.with(store), options, new Map([['', 1]]), (name) => Float32Array.from(numbers[name]));
    const result = tf.tidy(() => Array.from(lora.net.forward(tf.tensor2d([[1, -1]])).dataSync()));
    assert.deepEqual(result, [1 - 2 + 2 * 5 * (3 - 4)]);
    for (const owner of [lora.store, store]) owner.dispose();
  });

  it("change nothing at first, begin as PEFT's do, and are all that learns", () => {
    const { model, store } = tiny();
    const plain = logitsOf(model);
    const lora = Lora.create(model, { rank: 3, targets: TARGETS }, new Rng(5));
    assert.deepEqual(logitsOf(lora.net), plain);
    assert.deepEqual(lora.layers, LAYERS);
    const names = LAYERS.flatMap((layer) => [`${layer}.lora_A.weight`, `${layer}.lora_B.weight`]).sort();
    assert.deepEqual(Object.keys(lora.store.variables).sort(), names);
    assert.deepEqual(Object.keys(lora.net.variables()).sort(), names);
    // Kaiming-uniform with a = sqrt(5): within 1 / sqrt(in), drawn from the layer's own stream.
    const expected = new Rng(5)
      .split('head')
      .uniform(3 * 4)
      .map((u) => (2 * u - 1) / 2);
    assert.deepEqual(lora.store.get('head.lora_A.weight').dataSync(), expected);
    const start = tf.memory().numTensors;
    logitsOf(lora.net);
    assert.equal(tf.memory().numTensors, start);
    assert.equal(lora.unload(), model);
    store.dispose();
  });

  it('merge into the weights and out again, exact to rounding; saved with the base as one', async () => {
    const { model, store } = tiny();
    const before = await snapshot(store);
    const lora = adapted(model);
    const beside = logitsOf(lora.net);
    assert.ok(apart(beside, logitsOf(model)) > 0.1);
    const sum = await lora.sum(store).values();
    const start = tf.memory().numTensors;
    lora.merge();
    lora.merge();
    assert.ok(lora.merged);
    assert.ok(apart(logitsOf(lora.net), beside) < 1e-4);
    assert.ok(apart(logitsOf(model), beside) < 1e-4, 'the base holds them now');
    const merged = await store.values();
    for (const name of store.names) assert.ok(apart(merged[name].data, sum[name].data) < 1e-5, name);
    lora.unmerge();
    assert.equal(tf.memory().numTensors, start);
    const after = await snapshot(store);
    for (const name of store.names) {
      const isTarget = LAYERS.some((layer) => name === `${layer}.weight`);
      const moved = apart(before[name].data, after[name].data);
      assert.ok(isTarget ? moved < 1e-5 : moved === 0, `${name}: ${moved}`);
    }
    assert.ok(apart(logitsOf(lora.net), beside) < 1e-4);
    for (const owner of [lora.store, store]) owner.dispose();
  });

  it('are refused where they cannot be, with the layers that are there', () => {
    const { model, store } = tiny();
    const create = (targets: readonly string[] | RegExp, rank = 2, alpha?: number) =>
      Lora.create(model, { rank, alpha, targets }, new Rng(1));
    assert.throws(() => create(['q_prog']), /no layer is, or ends in, 'q_prog'; there are embed/);
    assert.throws(() => create(/vision.*/), /no layer matches/);
    assert.throws(() => create(/.*/), /embed is a table of embeddings; layers\.0\.norm has a weight \[4\], no matrix/);
    assert.throws(() => create(/.*fc1/i), /flags cannot be saved/);
    assert.throws(() => create(['fc1'], 0), /rank must be a positive integer, got 0/);
    assert.throws(() => create(['fc1'], 2, -1), /alpha must be a positive number, got -1/);
    assert.deepEqual(create(/layers\.1\.mlp\.fc[12]/).layers, ['layers.1.mlp.fc1', 'layers.1.mlp.fc2']);
    const tied = tiny(true);
    const onHead = () => Lora.create(tied.model, { rank: 1, targets: ['head'] }, new Rng(1));
    assert.throws(onHead, /head shares its weight with embed\.weight/);
    for (const owner of [store, tied.store]) owner.dispose();
  });

  for (const dtype of ['F32', 'BF16'] as const) {
    it(`learn on a base of ${dtype}, which stays as it is`, async () => {
      const { model, store } = tiny();
      const held = store.clone(dtype);
      const lora = Lora.create(model.with(held), { rank: 2, alpha: 4, targets: TARGETS }, new Rng(5));
      const before = await snapshot(held);
      const optimizer = new AdamW({ learningRate: 0.05, weightDecay: 0 });
      const variables = lora.net.variables();
      const losses = Array.from({ length: 20 }, () => {
        const { value, grads } = tf.variableGrads(() => {
          const ids = tf.tensor2d(TINY_IDS.flat(), [2, 3], 'int32');
          return tf.mean<tf.Scalar>(tf.square(tf.sub(lora.net.forward(ids), 1)));
        }, Object.values(variables));
        const named = Object.fromEntries(Object.entries(variables).map(([name, v]) => [name, grads[v.name]]));
        optimizer.apply(variables, named);
        const loss = value.dataSync()[0];
        tf.dispose([value, grads] as tf.TensorContainer);
        return loss;
      });
      assert.ok(losses[19] < 0.8 * losses[0], `${losses[0]} became ${losses[19]}`);
      const after = await snapshot(held);
      for (const name of held.names) assert.deepEqual(after[name].data, before[name].data, name);
      if (dtype === 'BF16') assert.throws(() => lora.merge(), /stored in bfloat16/);
      optimizer.dispose();
      for (const owner of [lora.store, held, store]) owner.dispose();
    });
  }
});

describe('adapter files', () => {
  it("have PEFT's names and come back as they were", async () => {
    const { model, store } = tiny();
    const lora = adapted(model);
    const folder = path.join(scratch, 'adapter');
    await saveAdapters(lora, folder, 'tiny');
    const stored = await readSafetensors(path.join(folder, 'adapter_model.safetensors'));
    assert.equal(Object.keys(stored).length, 6);
    assert.deepEqual(stored['base_model.model.layers.0.mlp.fc1.lora_A.weight'].shape, [3, 4]);
    assert.deepEqual(stored['base_model.model.layers.0.mlp.fc1.lora_B.weight'].shape, [8, 3]);
    const json = await readFile(path.join(folder, 'adapter_config.json'), 'utf8');
    const config = JSON.parse(json) as Record<string, unknown>;
    assert.equal(config.peft_type, 'LORA');
    assert.deepEqual([config.r, config.lora_alpha, config.target_modules], [3, 6, TARGETS]);
    const again = await loadAdapters(model, folder);
    assert.deepEqual(logitsOf(again.net), logitsOf(lora.net));
    assert.deepEqual(again.options, { ...lora.options, rankStabilized: false });
    for (const owner of [again.store, lora.store, store]) owner.dispose();
  });

  it('that do not fit, or ask for what is not supported, are refused with all that is wrong', async () => {
    const { model, store } = tiny();
    const folder = path.join(scratch, 'broken');
    const lora = adapted(model);
    await saveAdapters(lora, folder);
    const weights = path.join(folder, 'adapter_model.safetensors');
    const file = path.join(folder, 'adapter_config.json');
    const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    await writeFile(file, JSON.stringify({ ...config, lora_alpha: 7 }));
    await assert.rejects(loadAdapters(model, folder), /lora_alpha 7.*lora_alpha 6: they are of two saves/);
    await writeFile(file, JSON.stringify({ ...config, bias: 'all', use_dora: true, r: 0 }));
    const unsupported = /r is 0, expected.*; bias "all" is not supported, only "none"; use_dora true/;
    await assert.rejects(loadAdapters(model, folder), unsupported);
    await writeFile(file, JSON.stringify(config));
    const zeros = (...shape: number[]): WritableTensor => {
      return { dtype: 'F32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) };
    };
    const at = 'base_model.model.layers.0.mlp';
    await writeSafetensors(weights, {
      [`${at}.fc1.lora_A.weight`]: zeros(3, 31),
      [`${at}.fc1.lora_B.weight`]: zeros(8, 3),
      [`${at}.fc2.lora_B.weight`]: zeros(4, 3),
      [`${at}.fc3.lora_A.weight`]: zeros(3, 4),
    });
    const start = tf.memory().numTensors;
    await assert.rejects(loadAdapters(model, folder), (error: Error) => {
      assert.match(error.message, /unknown: .*fc3\.lora_A\.weight \[3,4\]/);
      assert.match(error.message, /fc1: expected A \[rank,4\] and B \[8,rank\], found \[3,31\] and \[8,3\]/);
      assert.match(error.message, /missing: .*fc2\.lora_A\.weight/);
      return true;
    });
    assert.equal(tf.memory().numTensors, start);
    for (const owner of [lora.store, store]) owner.dispose();
  });
});
