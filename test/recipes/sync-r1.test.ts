import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { before, test } from 'node:test';
import { CONCEPTS, findConcept, loadSprites, type SpriteSheet } from '../../src/miniworld';
import { startEngine, Rng, tf } from '../../src/engine';
import { CheckpointStore } from '../../src/io';
import { MiniClip } from '../../src/models/scorers/mini-clip';
import { MiniLooks } from '../../src/models/scorers/mini-looks';
import { MobileNet } from '../../src/models/scorers/mobilenet';
import { UseLite } from '../../src/models/scorers/use-lite';
import { MagvitTokenizer } from '../../src/models/showo/image-tokenizer';
import { type ShowoConfig } from '../../src/models/showo/config';
import { ShowoModel } from '../../src/models/showo/model';
import { miniText } from '../../src/miniworld/curricula/scenes';
import {
  conceptJudges,
  type ConceptJudges,
  SYNC_R1_MINI,
  SyncR1,
  type SyncR1Options,
  type SyncStep,
} from '../../src/recipes/unictokens-r1';

/** A model small enough to take a step in a second: what is tested is the method, not the images. */
function tinyModel(seed = 1): ShowoModel {
  const coder = { ch: 32, ch_mult: [1, 1, 1, 1], num_res_blocks: [0, 0, 0, 0], z_channels: 4, norm_groups: 4 };
  const imageTokenizer = MagvitTokenizer.random({ encoder: coder, decoder: coder, codebook_dim: 4 }, new Rng(seed));
  const { text, bos, eos } = miniText();
  const config: ShowoConfig = {
    hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1, num_attention_heads: 2, layer_norm_eps: 1e-5, rope_theta: 10000,
    partial_rotary_factor: 0.5, llm_vocab_size: text.vocabularySize, codebook_size: 16, num_vq_tokens: 64, bos_token_id: bos, eos_token_id: eos, max_text_len: 32,
  }; // prettier-ignore
  return ShowoModel.random(config, imageTokenizer, text, new Rng(seed));
}

const OPTIONS: SyncR1Options = {
  ...SYNC_R1_MINI,
  groupSize: 3,
  learningRate: 1e-3,
  images: { ...SYNC_R1_MINI.images, steps: 5 },
  dsog: { ...(SYNC_R1_MINI.dsog as Exclude<SyncR1Options['dsog'], false>), batch: 4, maxCandidates: 8 },
  stages: { ...SYNC_R1_MINI.stages, steps: 3, generationBatch: 2, understandingBatch: 2 },
};

let sprites: SpriteSheet;
let scorers: ConceptJudges;
let ablation: ConceptJudges;
const concept = findConcept('mira');

function session(options = OPTIONS, seed = 5, own = scorers): SyncR1 {
  return new SyncR1({ model: tinyModel(), concept, sprites, judges: own, options, seed });
}

async function run(sync: SyncR1, count: number): Promise<SyncStep[]> {
  const out: SyncStep[] = [];
  for await (const step of sync.steps(count)) out.push(step);
  return out;
}

before(async () => {
  await startEngine({ precision: 'float32' });
  sprites = await loadSprites();
  const models = {
    sentences: await UseLite.load(),
    clip: MiniClip.random(new Rng(3)),
    mobilenet: await MobileNet.load(),
    face: await MiniLooks.load('mini-face'),
    figure: await MiniLooks.load('mini-figure'),
  };
  scorers = await conceptJudges(models, concept, CONCEPTS.slice(0, 4), sprites, 'mini_figure');
  ablation = await conceptJudges(models, concept, CONCEPTS.slice(0, 4), sprites, 'mobilenet');
});

test('a run learns tokens, steps, reports TRL names, and the ratio of an unchanged policy is 1', async () => {
  const sync = session();
  const stages: string[] = [];
  for await (const report of sync.learnConcept()) stages.push(report.stage);
  assert.deepEqual([...new Set(stages)], ['understanding', 'generation']);
  const steps = await run(sync, 3);
  for (const { metrics, samples, dsog } of steps) {
    for (const name of [
      'reward/mean',
      'reward/std',
      'frac_reward_zero_std',
      'kl',
      'entropy',
      'clip_ratio/region_mean',
      'completions/mean_length',
      'grad_norm',
    ]) {
      assert.ok(Number.isFinite(metrics[name]), `${name} is ${metrics[name]}`);
    }
    assert.ok(
      metrics['sampling/logprob_difference_max'] < 1e-4,
      `mismatch ${metrics['sampling/logprob_difference_max']}`,
    );
    assert.equal(samples.length, OPTIONS.groupSize);
    assert.ok(Math.abs(samples.reduce((sum, sample) => sum + sample.advantage, 0)) < 1e-9, 'advantages are centred');
    const rewards = ['tier_use_lite', 'ber_mini_clip', 'der_mini_figure', 'fer_mini_face'];
    for (const { parts } of samples)
      assert.deepEqual(
        Object.keys(parts).filter((name) => !name.includes('/')),
        rewards,
      );
    assert.ok(dsog && dsog.threshold > 0 && dsog.threshold < 1 && dsog.candidates <= 8);
  }
  assert.equal(steps[0].metrics.kl, 0, 'before the first step the policy is the reference');
  assert.ok(steps[2].metrics.kl > 0, 'afterwards it is not');
  sync.dispose();
});

test('DER by MobileNet is an ablation with a name of its own', async () => {
  const sync = session(OPTIONS, 5, ablation);
  const [{ samples }] = await run(sync, 1);
  for (const { parts } of samples) assert.ok(Math.abs(parts.der_mobilenet) <= 1, JSON.stringify(parts));
  sync.dispose();
});

test('the same seed gives the same run; saved and restored equals uninterrupted', async () => {
  const whole = session();
  const expected = await run(whole, 4);
  const store = new CheckpointStore<unknown>(mkdtempSync(path.join(tmpdir(), 'unilab-sync-')));
  const first = session();
  await run(first, 2);
  await first.save(store);
  first.dispose();
  const second = session();
  assert.equal(await second.restore(store), true);
  const rest = await run(second, 2);
  rest.forEach((step, i) => {
    const want = expected[i + 2];
    assert.ok(Math.abs(step.metrics.loss - want.metrics.loss) < 1e-6);
    assert.ok(Math.abs(step.metrics['reward/mean'] - want.metrics['reward/mean']) < 1e-6);
    assert.deepEqual(step.samples.map((s) => s.reasoning), want.samples.map((s) => s.reasoning)); // prettier-ignore
  });
  const other = session(OPTIONS, 6);
  await assert.rejects(() => other.restore(store), /is of concept mira with seed 5, this run is of mira with seed 6/);
  for (const sync of [whole, second, other]) sync.dispose();
});

test('every ablation of Tables 2 and 3 runs', async () => {
  const ablations: [string, Partial<SyncR1Options>][] = [
    ['without understanding reasoning', { understanding: false }],
    ['without VIA', { pathways: ['tia'] }],
    ['without TIA', { pathways: ['via'] }],
    ['without DSOG', { dsog: false }],
    ['joint initialisation', { stages: { ...OPTIONS.stages, initialization: 'joint' } }],
    ['as printed', { aggregation: 'sum', scored: 'all' }],
    ['conditional log-probs', { imageLogProbs: 'conditional', scored: 'unmasked' }],
  ];
  for (const [name, change] of ablations) {
    const sync = session({ ...OPTIONS, ...change });
    if (change.stages) for await (const report of sync.learnConcept()) assert.equal(report.stage, 'joint');
    const [step] = await run(sync, 1);
    assert.ok(Number.isFinite(step.metrics.loss), name);
    if (change.pathways) assert.equal(step.example.pathway, change.pathways[0]);
    if (change.dsog === false) assert.equal(step.dsog, undefined);
    if (change.understanding === false)
      assert.ok(step.samples.every((s) => s.reasoning === '' && !('tier_use_lite' in s.parts)));
    sync.dispose();
  }
});

test('50 steps of reinforcement learning leave no tensor behind', async () => {
  const sync = session({
    ...OPTIONS,
    groupSize: 2,
    dsog: { ...(OPTIONS.dsog as Exclude<SyncR1Options['dsog'], false>), batch: 2, maxCandidates: 4 },
    images: { ...OPTIONS.images, steps: 3 },
  });
  await run(sync, 2); // the reference and the optimizer's moments are made here
  const tensors = tf.memory().numTensors;
  for await (const step of sync.steps(50)) assert.equal(tf.memory().numTensors, tensors, `step ${step.step}`);
  sync.dispose();
});
