import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AdamW, startEngine, Rng, tf } from '../../src/engine';
import { readSafetensors, type WritableTensor, writeSafetensors } from '../../src/io';
import { Bf16Parameters } from '../../src/nn/freeze';
import { LoraParameters } from '../../src/nn/lora';
import { loadAdapters, saveAdapters } from '../../src/nn/lora-files';
import { Parameters } from '../../src/nn/parameters';
import { trainStep } from '../../src/rl';
import { trainSupervised } from '../../src/sft/loop';
import { forward, largestDifference, snapshot, tinyModel, tinyParameters, tinyTask } from './tiny-showo';

const TARGETS = ['q_proj', 'v_proj', 'mlp.fc1', 'lm_head'];

let scratch: string;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  scratch = await mkdtemp(path.join(tmpdir(), 'unilab-lora-'));
});
after(() => rm(scratch, { recursive: true }));

/** Adapters that do something: B is 0 at first. */
function adapted(base = tinyParameters(), rank = 3): LoraParameters {
  const lora = LoraParameters.create(base, { rank, alpha: 6, targets: TARGETS }, new Rng(5));
  [...lora.adapters].forEach(([layer, { b }]) => {
    const values = tf.tensor(new Rng(6).split(layer).normal(b.size), b.shape);
    b.assign(tf.tidy(() => tf.mul(values, 0.05)));
    values.dispose();
  });
  return lora;
}

describe('adapters', () => {
  it('change nothing at first; then every way to the weights tells the same', () => {
    const base = tinyParameters();
    const model = tinyModel(base);
    const plain = forward(model);
    const fresh = LoraParameters.create(base, { rank: 3, targets: TARGETS }, new Rng(5));
    assert.deepEqual(forward(model, fresh), plain);
    assert.equal(Object.keys(fresh.variables).length, 2 * (2 * 3 + 1));
    assert.equal(fresh.count(), base.count());
    const lora = adapted(base);
    const start = tf.memory().numTensors;
    const layer = 'showo.model.layers.1.mlp.fc1';
    const x = tf.tensor2d(new Rng(7).normal(64), [2, 32]);
    const [thin, full, by] = tf.tidy(() => {
      const w = lora.get(`${layer}.weight`);
      const { a, b } = lora.adapters.get(layer) ?? assert.fail();
      const own = tf.add(base.get(`${layer}.weight`), tf.mul(tf.matMul(b as tf.Tensor2D, a as tf.Tensor2D), 6 / 3));
      const product = tf.add(tf.matMul(x, tf.transpose(w) as tf.Tensor2D), base.get(`${layer}.bias`));
      return [lora.linear(layer, x), product, tf.sub(w, own)].map((t) => Array.from(t.dataSync()));
    });
    assert.ok(largestDifference(thin, full) < 1e-5);
    assert.ok(Math.max(...by.map(Math.abs)) < 1e-7, 'W + alpha / rank B A');
    assert.ok(largestDifference(forward(model, lora), plain) > 0.01);
    x.dispose();
    assert.equal(tf.memory().numTensors, start);
    assert.throws(() => lora.assign({}), /assign to their base/);
    model.dispose();
  });

  it('merge into the weights and out again, exact to rounding', async () => {
    const base = tinyParameters();
    const before = snapshot(base.variables);
    const lora = adapted(base);
    const model = tinyModel(lora);
    const apart = forward(model);
    const saved = await lora.values();
    const start = tf.memory().numTensors;
    lora.merge();
    lora.merge();
    assert.ok(lora.merged);
    assert.ok(largestDifference(forward(model), apart) < 2e-5);
    const merged = await lora.values();
    for (const name of Object.keys(merged)) assert.ok(largestDifference(merged[name].data, saved[name].data) < 1e-6);
    lora.unmerge();
    assert.equal(tf.memory().numTensors, start);
    const after = snapshot(base.variables);
    for (const name of Object.keys(before)) {
      const changed = TARGETS.some((target) => name.endsWith(`${target}.weight`));
      const apartNow = largestDifference(before[name], after[name]);
      assert.ok(changed ? apartNow < 1e-7 : apartNow === 0, `${name}: ${apartNow}`);
    }
    assert.deepEqual(forward(model).length, apart.length);
    assert.ok(largestDifference(forward(model), apart) < 2e-5);
    const copy = lora.clone();
    assert.ok(largestDifference(forward(model, copy), apart) < 2e-5, 'a copy holds the sum');
    assert.equal(Object.keys(copy.variables).length, Object.keys(base.variables).length);
    model.dispose();
    copy.dispose();
  });

  it('are refused where they cannot be, with the layers that are there', () => {
    const base = tinyParameters();
    const create = (targets: readonly string[] | RegExp, rank = 2, alpha?: number) =>
      LoraParameters.create(base, { rank, alpha, targets }, new Rng(1));
    assert.throws(() => create(['q_prog']), /no layer is, or ends in, 'q_prog'; there are showo\.model/);
    assert.throws(() => create(/vision.*/), /no layer matches/);
    assert.throws(() => create(/.*/), /embed_tokens is a table of embeddings; .*input_layernorm has a weight \[32\]/);
    assert.throws(() => create(/.*q_proj/i), /flags cannot be saved/);
    assert.throws(() => create(['q_proj'], 0), /rank must be a positive integer, got 0/);
    assert.throws(() => create(['q_proj'], 2, -1), /alpha must be a positive number, got -1/);
    const whole = create(/showo\.model\.layers\.0\.self_attn\.[qk]_proj/, 4);
    assert.deepEqual([...whole.adapters.keys()], ['q_proj', 'k_proj'].map((part) => `showo.model.layers.0.self_attn.${part}`)); // prettier-ignore
    const stable = LoraParameters.create(base, { rank: 4, alpha: 8, targets: ['k_proj'], rankStabilized: true }, new Rng(1)); // prettier-ignore
    assert.ok([...stable.adapters.values()].every(({ scaling }) => scaling === 4));
    const tied = Parameters.random(
      { 'embed.weight': { shape: [4, 2], init: { normal: 1 } }, 'head.weight': { shape: [4, 2], init: { normal: 1 }, tiedTo: 'embed.weight' } },
      new Rng(1),
    ); // prettier-ignore
    assert.throws(() => LoraParameters.create(tied, { rank: 1, targets: ['head'] }, new Rng(1)), /head shares its weight with embed\.weight/); // prettier-ignore
    tied.dispose();
    base.dispose();
  });
});

describe('adapter files', () => {
  it("have PEFT's names and come back as they were", async () => {
    const base = tinyParameters();
    const lora = adapted(base);
    const model = tinyModel(base);
    const folder = path.join(scratch, 'adapter');
    await saveAdapters(lora, folder, 'showo-tiny');
    const stored = await readSafetensors(path.join(folder, 'adapter_model.safetensors'));
    assert.equal(Object.keys(stored).length, 14);
    assert.deepEqual(stored['base_model.model.showo.model.layers.0.self_attn.q_proj.lora_A.weight'].shape, [3, 32]);
    assert.deepEqual(stored['base_model.model.showo.model.layers.1.mlp.fc1.lora_B.weight'].shape, [64, 3]);
    const config = JSON.parse(await readFile(path.join(folder, 'adapter_config.json'), 'utf8')) as Record<string, unknown>; // prettier-ignore
    assert.equal(config.peft_type, 'LORA');
    assert.deepEqual([config.r, config.lora_alpha, config.target_modules], [3, 6, TARGETS]);
    const again = await loadAdapters(base, folder);
    assert.deepEqual(forward(model, again), forward(model, lora));
    assert.deepEqual(again.options, { ...lora.options, rankStabilized: false });
    for (const [name, variable] of Object.entries(lora.variables))
      assert.deepEqual(again.variables[name].dataSync(), variable.dataSync());
    again.unload();
    lora.unload();
    model.dispose();
  });

  it('that do not fit, or ask for what is not supported, are refused with all that is wrong', async () => {
    const base = tinyParameters();
    const folder = path.join(scratch, 'broken');
    const lora = adapted(base);
    await saveAdapters(lora, folder);
    const weights = path.join(folder, 'adapter_model.safetensors');
    const file = path.join(folder, 'adapter_config.json');
    const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    await writeFile(file, JSON.stringify({ ...config, lora_alpha: 7 }));
    await assert.rejects(loadAdapters(base, folder), /lora_alpha 7.*lora_alpha 6: they are of two saves/);
    await writeFile(file, JSON.stringify({ ...config, bias: 'all', use_dora: true, r: 0 }));
    await assert.rejects(loadAdapters(base, folder), /r is 0, expected.*; bias "all" is not supported, only "none"; use_dora true/); // prettier-ignore
    await writeFile(file, JSON.stringify(config));
    const at = 'base_model.model.showo.model.layers.0.self_attn';
    const tensor = (...shape: number[]): WritableTensor => ({ dtype: 'F32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) }); // prettier-ignore
    await writeSafetensors(weights, {
      [`${at}.q_proj.lora_A.weight`]: tensor(3, 31),
      [`${at}.q_proj.lora_B.weight`]: tensor(32, 3),
      [`${at}.k_proj.lora_B.weight`]: tensor(32, 3),
      [`${at}.z_proj.lora_A.weight`]: tensor(3, 32),
    });
    const start = tf.memory().numTensors;
    await assert.rejects(loadAdapters(base, folder), (error: Error) => {
      assert.match(error.message, /unknown: .*z_proj\.lora_A\.weight \[3,32\]/);
      assert.match(error.message, /q_proj: expected A \[rank,32\] and B \[32,rank\], found \[3,31\] and \[32,3\]/);
      assert.match(error.message, /missing: .*k_proj\.lora_A\.weight/);
      return true;
    });
    assert.equal(tf.memory().numTensors, start);
    lora.dispose();
  });
});

describe('training with adapters', () => {
  for (const storage of ['float32', 'bfloat16'] as const) {
    it(`lowers the supervised loss and leaves the ${storage} base as it is; checkpoints hold adapters alone`, async () => {
      const plain = tinyParameters();
      const base = storage === 'float32' ? plain : Bf16Parameters.copy(plain);
      const lora = LoraParameters.create(base, { rank: 4, alpha: 16, targets: TARGETS }, new Rng(5));
      const model = tinyModel(lora);
      const before = await base.values();
      const folder = path.join(scratch, `run-${storage}`);
      const losses: number[] = [];
      let tensors = 0;
      for await (const { loss, step } of trainSupervised(tinyTask(model), { steps: 30, seed: 1, learningRate: 1e-2, folder, checkpointEvery: 30 })) {
        losses.push(loss);
        if (step === 3) tensors = tf.memory().numTensors;
        if (step > 3) assert.equal(tf.memory().numTensors, tensors);
      } // prettier-ignore
      assert.ok(losses[29] < 0.75 * losses[0], `${losses[0]} became ${losses[29]}`);
      const after = await base.values();
      for (const name of Object.keys(before)) assert.deepEqual(after[name].data, before[name].data, name);
      const saved = await readSafetensors(path.join(folder, 'step-00000030'));
      const names = Object.keys(saved).filter((name) => name.startsWith('model.'));
      assert.deepEqual(names.sort(), Object.keys(lora.variables).map((name) => `model.${name}`).sort()); // prettier-ignore
      if (storage === 'bfloat16') {
        assert.throws(() => lora.merge(), /stored in bfloat16/);
        plain.dispose();
      }
      model.dispose();
    });
  }

  it('a policy step moves the adapters alone, towards what was rewarded; the base is its reference', async () => {
    const base = tinyParameters();
    const lora = LoraParameters.create(base, { rank: 4, alpha: 16, targets: TARGETS }, new Rng(5));
    const model = tinyModel(lora);
    const reference = model.frozenCopy();
    const asked = [1, 2].map((seed) => ({ prompt: model.prompt(['w5 w6'], 'understand'), rng: new Rng(seed) }));
    const drawn = [3, 4].map((seed) => ({ prompt: model.prompt([`w${seed + 2}`], 'generate'), rng: new Rng(seed) }));
    const answers = model.sampleText(asked, { maxNewTokens: 5 });
    const images = model.imageSampler(drawn, { steps: 2, guidanceScale: 2 }).finish();
    const trajectories = answers.map((answer, i) => ({ segments: [answer, images[i]] }));
    const optimizer = new AdamW({ learningRate: 3e-3, weightDecay: 0 });
    const segmentWeights = { understanding: 0.4, generation: 0.6 };
    const options = { segmentWeights, aggregation: 'segment-mean', beta: 0.01, learningRate: 3e-3 } as const;
    const step = () => trainStep(model, reference, trajectories, [1, -1], optimizer, options);
    const likelihood = () =>
      answers.map(({ transitions }) => tf.tidy(() => tf.sum(model.replay(transitions)).dataSync()[0]));
    const before = { base: snapshot(base.variables), likelihood: likelihood() };
    const first = await step();
    assert.ok(Math.abs(first.kl) < 1e-6, 'fresh adapters are the reference');
    let last = first;
    for (let i = 0; i < 4; i++) last = await step();
    assert.ok(last.kl > 0);
    const [good, bad] = likelihood().map((value, i) => value - before.likelihood[i]);
    assert.ok(good > bad, `${good} and ${bad}`);
    const after = snapshot(base.variables);
    for (const name of Object.keys(after)) assert.deepEqual(after[name], before.base[name], name);
    optimizer.dispose();
    model.dispose();
  });
});
