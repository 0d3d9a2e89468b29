import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { command as mergeCommand } from '../../src/cli/merge';
import { command, paradigmsCommand } from '../../src/cli/train-corl';
import { Rng, startEngine, tf } from '../../src/engine';
import { readSafetensors, toFloat32 } from '../../src/io';
import { JanusModel } from '../../src/models/janus/model';
import { loadThinking, miniCorlOptions, miniCorlRewards, thoughtCaptioner } from '../../src/miniworld/corl';
import { MiniCorlTask, numbersCaption } from '../../src/miniworld/corl-task';
import { mathProblem } from '../../src/miniworld/benchmarks/math';
import { spiceLike } from '../../src/rewards/spice-like';
import { countedThought, THINKING_WORDS, thoughtIn } from '../../src/miniworld/thinking';
import type { UnifiedModel } from '../../src/models/unified';
import { HELD_OUT_COMBINATIONS } from '../../src/miniworld/world';
import { corl } from '../../src/recipes/corl';
import { answerAccuracy, answerFormat } from '../../src/rewards';
import { tinyJanus } from './tiny-janus';

before(() => startEngine({ precision: 'float32', quiet: true }));

const root = mkdtempSync(path.join(tmpdir(), 'unilab-mini-corl-'));
const base = path.join(root, 'base');
before(async () => {
  const model = tinyJanus();
  await model.savePretrained(base, { dtype: 'F32' });
  model.dispose();
});
after(() => rmSync(root, { recursive: true, force: true }));

describe('the task', () => {
  for (const mix of ['both', 'mcq', 'open'] as const)
    test(`${mix}: completions keep to the form and are right, in known words, of split train`, async () => {
      const task = await MiniCorlTask.open(mix);
      const model = await tinyJanus().withWords(THINKING_WORDS, new Rng(1));
      const forms = new Set<string>();
      for (let i = 0; i < 60; i++) {
        const { question, completion, truth, prompt } = task.sample(new Rng(i));
        assert.equal(answerFormat(completion), 1);
        assert.equal(answerAccuracy(completion, truth).value, 1);
        model.prompt(question, 'understand');
        model.prompt([prompt], 'generate');
        assert.ok(model.tokenizer.encode(completion).length <= 28, completion);
        for (const { color, object } of HELD_OUT_COMBINATIONS)
          assert.ok(![prompt, completion].some((text) => text.includes(`${color} ${object}`)), prompt);
        forms.add(truth.form);
      }
      assert.deepEqual([...forms].sort(), mix === 'open' ? ['open_ended'] : ['multiple_choice', 'open_ended']);
      model.dispose();
    });

  test('captions of numbers count', () => {
    const { scene } = mathProblem('counting', new Rng(1), 'train');
    const item = (object: 'car' | 'hat') => ({ ...scene.items[0], object, color: 'red' as const });
    const counted = { ...scene, background: 'snow' as const, items: [item('car'), item('hat'), item('car')] };
    assert.equal(numbersCaption(counted), 'two red cars and one red hat in the snow');
  });
});

describe('new words', () => {
  test('begin near known ones, move nothing else, and are saved and loaded', async () => {
    const model = tinyJanus();
    const prompt = model.prompt(['a red car'], 'generate');
    const image = () => model.imageSampler([{ prompt, rng: new Rng(1) }]).finish()[0].codes;
    const before = image();
    const rows = model.network.store.get('lm_head.weight').shape[0];
    const grown = await model.withWords(THINKING_WORDS, new Rng(1));
    assert.equal(grown.network.store.get('lm_head.weight').shape[0], rows + Object.keys(THINKING_WORDS).length);
    const again = { prompt: grown.prompt(['a red car'], 'generate'), rng: new Rng(1) };
    assert.deepEqual(grown.imageSampler([again]).finish()[0].codes, before);
    assert.equal(await grown.withWords(THINKING_WORDS, new Rng(2)), grown);
    const folder = path.join(root, 'grown');
    await grown.savePretrained(folder, { dtype: 'F32' });
    const loaded = await JanusModel.fromPretrained(folder);
    const text = '<think> a red car </think> <answer> b </answer>';
    assert.equal(loaded.tokenizer.decode(loaded.tokenizer.encode(text)), text);
    assert.deepEqual(loaded.tokenizer.encode(text), grown.tokenizer.encode(text));
    loaded.dispose();
    grown.dispose();
  });

  test('near a word that is not known: refused', async () => {
    const model = tinyJanus();
    await assert.rejects(model.withWords({ '<think>': 'ponder' }, new Rng(1)), /no 'ponder'/);
    model.dispose();
  });
});

describe('thoughts as captions', () => {
  test('what stands between the tags, also of a completion that was cut off', () => {
    assert.equal(
      thoughtIn('<think> red car , blue hat in the snow </think> <answer> two </answer>'),
      'red car , blue hat in the snow',
    );
    assert.equal(thoughtIn('<think> red car , blue'), 'red car , blue');
    assert.equal(thoughtIn('a red car'), '');
  });

  test('things of one name are counted, so that a caption of another number agrees less', () => {
    const two = countedThought('red car , blue hat , red car in the snow');
    assert.equal(two, 'two red cars and a blue hat in the snow');
    assert.equal(countedThought('pink fish , pink fish , pink fish'), 'three pink fish');
    assert.equal(countedThought('orange fish , umbrella at night'), 'an orange fish and an umbrella at night');
    assert.equal(countedThought(' , '), '');
    const prompt = 'a photo of two red cars and a blue hat in the snow';
    assert.equal(spiceLike(two, prompt), 1);
    assert.ok(spiceLike(countedThought('red car , blue hat in the snow'), prompt) < 0.95);
  });

  test('a reward that reads them says so by its name, and scores what the frozen model thinks', async () => {
    const model = await loadThinking(base);
    const rewards = await miniCorlRewards(model, { captions: 'thoughts' });
    assert.equal(rewards.cycle.name, 'cycle_mini_clip_patches_janus_thoughts');
    const asked: string[] = [];
    const says = (text: string) => {
      const frozen = {
        modelType: 'janus',
        prompt: (parts: readonly unknown[]) => asked.push(String(parts[1])),
        sampleText: (requests: readonly unknown[]) => requests.map(() => ({ text })),
      };
      return thoughtCaptioner(frozen as unknown as UnifiedModel).captions([image, image]);
    };
    const image = { width: 1, height: 1, rgb: new Uint8Array(3) };
    assert.deepEqual(await says('<think> red car </think> <answer> a </answer>'), ['a red car', 'a red car']);
    assert.deepEqual(asked, Array(2).fill('what is in the picture ? think , then answer :'));
    rewards.dispose();
    model.dispose();
  });
});

test("a step with the mini world's own rewards: all four have spread or are counted; nothing is left behind", async () => {
  const model = await loadThinking(base);
  const held = tf.memory().numTensors;
  const rewards = await miniCorlRewards(model);
  assert.deepEqual(
    [rewards.cycle, rewards.tim, rewards.accuracy, rewards.format].map(({ name }) => name),
    ['cycle_mini_clip_patches_janus_frozen', 'tim_janus_frozen', 'accuracy_open_ended', 'format'],
  );
  const more = { steps: 1, batchSize: 2, groupSize: 3, text: { maxNewTokens: 3 } };
  const task = await MiniCorlTask.open();
  for await (const { scores, metrics } of corl({ model, task, rewards }, miniCorlOptions('unified', more))) {
    assert.ok(scores.every(({ value }) => Number.isFinite(value)));
    assert.ok(metrics['rewards/tim_janus_frozen/std'] > 0 && metrics.grad_norm > 0);
    assert.ok(metrics['rewards/cycle_mini_clip_patches_janus_frozen/visual/mean'] < 1);
  }
  rewards.dispose();
  assert.equal(tf.memory().numTensors, held);
  model.dispose();
});

describe('commands', () => {
  const small = ['steps=1', 'batchSize=1', 'groupSize=2', 'text.maxNewTokens=3'].flatMap((set) => ['--set', set]);

  test('train corl --stage all: every stage leaves a model, the merge too; --resume does none of it again', async () => {
    const out = path.join(root, 'all');
    const args = ['corl', '--stage', 'all', '--model', base, '--out', out, ...small];
    assert.equal(await command.run(args), 0);
    for (const name of ['unified/model', 't2i/model', 'mcq/model', 'open/model', 'understanding']) {
      const model = await JanusModel.fromPretrained(path.join(out, name));
      model.dispose();
    }
    const lines = readFileSync(path.join(out, 'open', 'metrics.jsonl'), 'utf8');
    assert.equal(await command.run([...args, '--resume']), 0);
    assert.equal(readFileSync(path.join(out, 'open', 'metrics.jsonl'), 'utf8'), lines);
    await assert.rejects(command.run(args), /resume it .--resume;.* or give another folder/);
  });

  test('train corl --stage cold-sft stops when its seconds are over', async () => {
    const out = path.join(root, 'sft');
    const sets = ['--set', 'seconds=0.001', '--set', 'batchSize=2'];
    assert.equal(await command.run(['corl', '--stage', 'cold-sft', '--model', base, '--out', out, ...sets]), 0);
    assert.equal(
      readFileSync(path.join(out, 'cold-sft', 'metrics.jsonl'), 'utf8')
        .trim()
        .split('\n').length,
      1,
    );
    assert.ok(existsSync(path.join(out, 'cold-sft', 'model', 'config.json')));
  });

  for (const [paradigm, folders] of Object.entries({
    'separate+merge': ['image/model', 'text/model', 'merged'],
    cycle: ['cycle/model'],
  }))
    test(`train paradigms --paradigm ${paradigm}`, async () => {
      const out = path.join(root, paradigm);
      const args = ['paradigms', '--paradigm', paradigm, '--model', base, '--out', out, ...small];
      assert.equal(await paradigmsCommand.run(args), 0);
      for (const folder of folders) assert.ok(existsSync(path.join(out, folder, 'config.json')), folder);
    });

  test('merge: outliers stay whole, the rest is averaged, tensor by tensor; wrong calls say what was expected', async () => {
    const [a, b, out] = ['a', 'b', 'merged-by-hand'].map((name) => path.join(root, name));
    for (const [folder, name] of [
      [a, 'lm_head.weight'],
      [b, 'model.language_model.norm.weight'],
    ]) {
      const model = await JanusModel.fromPretrained(base);
      const variable = model.variables()[name];
      const moved = tf.tidy(() => tf.add(variable, 0.5));
      variable.assign(moved);
      moved.dispose();
      await model.savePretrained(folder, { dtype: 'F32' });
      model.dispose();
    }
    assert.equal(await mergeCommand.run(['--base', base, '--out', out, a, b]), 0);
    const [own, merged] = [await readSafetensors(base), await readSafetensors(out)];
    const first = (tensors: typeof own, name: string) => toFloat32(tensors[name])[0];
    // All changes of `a` are equal, so its deviation is near 0 and, with those of `b` (none), the mean 0.25: outliers.
    assert.ok(Math.abs(first(merged, 'lm_head.weight') - first(own, 'lm_head.weight') - 0.5) < 1e-4);
    assert.equal(
      first(merged, 'model.language_model.layers.0.mlp.up_proj.weight'),
      first(own, 'model.language_model.layers.0.mlp.up_proj.weight'),
    );
    const { report } = JSON.parse(readFileSync(path.join(out, 'merge.json'), 'utf8')) as { report: object };
    assert.deepEqual(Object.keys(report).sort(), ['lm_head.weight', 'model.language_model.norm.weight']);
    await assert.rejects(mergeCommand.run(['--base', base, '--out', out, a]), /two models at least, got 1/);
    await assert.rejects(mergeCommand.run(['--base', base, a, b]), /--base and --out/);
    await assert.rejects(mergeCommand.run(['--base', base, '--out', out, '--lambda', 'x', a, b]), /--lambda/);
  });

  test('--help prints every option with default and paper; wrong calls are refused', async () => {
    for (const name of ['groupSize', 'weights.lambda', 'beta', 'surrogate', 'seconds'])
      assert.ok(command.usage.includes(name));
    assert.match(command.usage, /learningRate .*4e-6|learningRate .*0\.000004/);
    assert.match(paradigmsCommand.usage, /separate\+merge/);
    await assert.rejects(command.run(['corl', '--stage', 'nothing']), /unified, t2i, mcq, open, cold-sft, all/);
    await assert.rejects(command.run(['corl', '--preset', 'huge']), /paper or mini/);
    await assert.rejects(paradigmsCommand.run(['paradigms', '--paradigm', 'x']), /separate\+merge/);
  });
});
