import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { evaluationOf } from '../../src/data/task';
import { type FinishedRun, poolAblation, poolGains, runMetrics, summarize } from '../../src/eval';
import { chosen, HEADLINES, nameOf, RUNS, validationRuns } from '../../scripts/results/runs';
import { ResultStore } from '../../scripts/results/store';
import { ratioOf } from '../../scripts/results/step-times';
import { withTables } from '../../scripts/results/tables';
import { inTurns } from '../../scripts/results/work';
import { TOY_RUNS, workThroughToys } from './toy-runs';

const root = mkdtempSync(path.join(tmpdir(), 'unilab-results-'));
after(() => rmSync(root, { recursive: true, force: true }));
const folder = () => mkdtempSync(path.join(root, 'list-'));

/** A run whose items have these scores, prompt by prompt. */
function run(variant: string, seed: number, before: number[], after: number[], prompts?: string[]): FinishedRun {
  const asked = prompts ?? before.map((_, i) => `prompt ${i}`);
  const of = (scores: number[]) =>
    evaluationOf(scores.map((rea_gen, i) => ({ prompt: asked[i], scores: { rea_gen } })));
  const { metrics, items } = runMetrics(of(before), of(after), seed);
  const [method, backbone] = ['sync-grpo', 'showo-mini'] as const;
  return {
    result: { method, variant, backbone, seed, command: '', version: '', options: {}, minutes: 1, metrics },
    items,
  };
}

describe('one run', () => {
  test('counts a prompt once, however often it is drawn', () => {
    const { result, items } = run('full', 1, [0, 0, 0, 1], [1, 1, 0, 1], ['a', 'a', 'a', 'b']);
    const { ci95, ...rest } = result.metrics.rea_gen;
    assert.deepEqual(rest, { prompts: 2, draws: 4, before: 0.25, after: 0.75, delta: 0.5 });
    assert.deepEqual(ci95, [0, 0.6667]);
    assert.deepEqual(items.clusters, ['a', 'a', 'a', 'b']);
    assert.deepEqual(items.after.rea_gen, [1, 1, 0, 1]);
  });
});

describe('pooled runs', () => {
  test('full and control are compared pair by pair, and seed by seed', () => {
    const full = [run('full', 1, [0, 0, 0, 0], [1, 1, 0, 0]), run('full', 2, [0, 0, 1, 1], [1, 1, 1, 1])];
    const control = [run('control', 1, [0, 0, 0, 0], [1, 0, 0, 0]), run('control', 2, [0, 0, 1, 1], [0, 0, 1, 1])];
    const { ci95, ...rest } = poolGains(full, control).rea_gen;
    assert.deepEqual(rest, {
      seeds: 2,
      prompts: 4,
      delta: 0.5,
      deltaControl: 0.125,
      perSeed: [
        { seed: 1, delta: 0.5, deltaControl: 0.25 },
        { seed: 2, delta: 0.5, deltaControl: 0 },
      ],
    });
    // Per prompt 1/2, 1, 0, 0: resampled means of four such prompts.
    assert.ok(ci95[0] === 0 && ci95[1] > 0.7 && ci95[1] <= 1, `${ci95}`);
  });

  test('a seed without its control is left out; runs of other prompts are refused', () => {
    const full = [run('full', 1, [0, 0], [1, 1]), run('full', 2, [0, 0], [0, 0])];
    assert.equal(poolGains(full, [run('control', 1, [0, 0], [0, 0])]).rea_gen.seeds, 1);
    const strange = run('control', 1, [0, 0], [0, 0], ['prompt 0', 'prompt 7']);
    assert.throws(() => poolGains(full, [strange]), /seed 1: 'full' and 'control' were asked different prompts/);
    assert.deepEqual(poolGains(full, []), {});
  });

  test('an ablation is compared by what it ends with, since it may begin with another model', () => {
    const { ci95, ...rest } = poolAblation([run('base', 1, [0, 0], [0, 0])], [run('full', 1, [1, 1], [1, 1])]).rea_gen;
    assert.deepEqual(rest, { seeds: 1, prompts: 2, after: 0, afterFull: 1 });
    assert.deepEqual(ci95, [-1, -1]);
  });

  test('tables say what was not run', () => {
    const finished = [run('full', 1, [0, 0], [1, 1]), run('control', 1, [0, 0], [0, 0])];
    const page = 'before\n<!-- begin: made by `make results` -->\nold\n<!-- end: made by `make results` -->\nafter\n';
    const made = withTables(page, summarize(finished, HEADLINES), finished, RUNS);
    assert.match(
      made,
      /\| \*\*rea_gen\*\* \| 1 \| 2 \| \+1\.000 \| \+0\.000 \| \+1\.000 \[1\.000, 1\.000\] \| \+1\.000 \|/,
    );
    assert.match(made, /### CoRL\n\nNot run: full 1, control 1, full 2/);
    assert.match(made, /^before\n[^]*after\n$/);
    assert.ok(!made.includes('old') && !/Not run: full 1[^.]*\.\n\n### CoRL/.test(made));
    assert.equal(withTables(made, summarize(finished, HEADLINES), finished, RUNS), made);
    assert.throws(() => withTables('nothing', {}, [], RUNS), /has no place for tables/);
  });
});

describe('the list', () => {
  test('has headlines of five seeds and ablations of two, each name once', () => {
    const names = RUNS.map(nameOf);
    assert.equal(new Set(names).size, names.length);
    assert.equal(
      names.filter((name) => /^(sync-grpo|corl|mm-r1)-(full|control)-[a-z]+-mini-/.test(name)).length,
      3 * 2 * 5,
    );
    assert.deepEqual(chosen(['mm-r1-full-chameleon-mini-2']).map(nameOf), ['mm-r1-full-chameleon-mini-2']);
    assert.throws(() => chosen(['corl', 'nothing']), /no run's name holds 'nothing'/);
  });

  test('options are chosen on seeds that are not reported', () => {
    assert.ok(validationRuns(101).every(({ seed }) => seed === 101));
    assert.equal(nameOf(validationRuns(102)[0]), 'sync-grpo-full-showo-mini-102');
    assert.throws(() => validationRuns(5), /on seeds from 101, got 5/);
  });

  test('steps are timed in turns; the first two pairs do not count', async () => {
    const order: string[] = [];
    async function* steps(name: string) {
      for (;;) yield await Promise.resolve(order.push(name));
    }
    assert.equal((await inTurns(steps('r'), steps('s'), 3)).length, 3);
    assert.equal(order.join(''), 'rsrsrsrsrs');
    assert.equal(ratioOf([2, 8, 4].map((time) => ({ reinforcement: time, supervised: 1 }))).ratio, 4);
  });

  test('a run leaves what figures draw of its steps: some metrics, short numbers; no curve without rewards', async () => {
    const at = folder();
    const [run] = RUNS;
    const log = path.join(at, 'metrics.jsonl');
    const store = new ResultStore(at);
    writeFileSync(log, '{"step":1,"loss":2}\n');
    await store.writeCurve(run, log);
    assert.ok(!existsSync(path.join(at, 'curves')));
    writeFileSync(log, '{"step":1,"reward":0.123456789,"kl":null,"dsog/pass_rate":0.25,"time/rollout":3}\n');
    await store.writeCurve(run, log);
    const written = readFileSync(path.join(at, 'curves', `${nameOf(run)}.jsonl`), 'utf8');
    assert.equal(written, '{"step":1,"reward":0.12346,"dsog/pass_rate":0.25}\n');
  });

  test('killed in the middle of a run, it goes on there and ends with the same results', async () => {
    const [whole, killed] = [folder(), folder()];
    await workThroughToys(whole);
    const file = path.join(__dirname, 'toy-runs.ts');
    const args = ['--require', 'ts-node/register/transpile-only', file, killed, '9'];
    const { signal } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.equal(signal, 'SIGKILL');
    // Six steps of the first run, three of the second one, which is the control.
    assert.deepEqual(readdirSync(path.join(killed, 'results', 'items')), [`${nameOf(TOY_RUNS[0])}.json`]);
    const lines = await workThroughToys(killed);
    assert.match(lines[0], /sync-grpo-control-toy-1 \(1 of 3\)/);
    assert.equal(readFileSync(path.join(killed, 'all-steps'), 'utf8').length, 2 * 6 + 2 * 3);
    const summary = path.join('results', 'summary.json');
    assert.equal(readFileSync(path.join(killed, summary), 'utf8'), readFileSync(path.join(whole, summary), 'utf8'));
    const { method, variant, seed, command, options, metrics } = JSON.parse(
      readFileSync(path.join(killed, 'results', 'sync-grpo-control-toy-1.json'), 'utf8'),
    ) as FinishedRun['result'];
    assert.deepEqual([method, variant, seed, options], ['sync-grpo', 'control', 1, { count: 3, seed: 1 }]);
    assert.equal(command, 'make results RUNS=sync-grpo-control-toy-1 limit=3');
    assert.deepEqual(metrics.joint_success, {
      prompts: 4,
      draws: 5,
      before: 0,
      after: 0.12,
      delta: 0.12,
      ci95: metrics.joint_success.ci95,
    });
    assert.ok(!existsSync(path.join(killed, 'work', 'sync-grpo-control-toy-1')));
    assert.deepEqual(await workThroughToys(killed), ['4 runs are finished']);
  });
});
