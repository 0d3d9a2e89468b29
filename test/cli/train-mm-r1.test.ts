import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startEngine } from '../../src/engine';
import { tinyXcotFolder } from '../data/tiny-xcot';
import { tinyModel } from '../models/chameleon/fixture';

const root = mkdtempSync(path.join(tmpdir(), 'unilab-mm-r1-'));
after(() => rmSync(root, { recursive: true, force: true }));
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  const model = tinyModel();
  await model.savePretrained(path.join(root, 'model'), { dtype: 'F32' });
  model.dispose();
  await tinyXcotFolder(path.join(root, 'xcot'), ['w21', 'w22', 'w21']);
});

const unilab = path.join(__dirname, '../../bin/unilab');

/** Exit status, and everything that was said. */
function train(...args: string[]): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [unilab, 'train', 'mm-r1', ...args], {
    cwd: root,
    encoding: 'utf8',
  });
  return { status, said: stdout + stderr };
}

const tiny = ['--model', 'model', '--data', 'xcot', '--config', 'tiny.json', '--out', 'run'];

test('a tiny Chameleon goes through cold start, reinforcement and comparison', () => {
  const options = { steps: 2, groupSize: 2, coldStart: { steps: 2, batch: 2 }, text: { maxNewTokens: 4 } };
  writeFileSync(
    path.join(root, 'tiny.json'),
    JSON.stringify({ ...options, rewards: ['format', 'text'], format: '.*' }),
  );
  const { status, said } = train(...tiny);
  assert.equal(status, 0, said);
  assert.match(said, /without --scorers stand-ins run: mini_figure, mini_clip/);
  const file = (...names: string[]) => path.join(root, 'run', ...names);
  const lines = readFileSync(file('metrics.jsonl'), 'utf8').trim().split('\n');
  assert.equal(lines.length, 2);
  const result = JSON.parse(readFileSync(file('result.json'), 'utf8')) as {
    task: string;
    steps: number;
    seconds: { supervisedStep: number; reinforcement: number };
    metrics: Record<string, { n: number }>;
  };
  assert.deepEqual([result.task, result.steps, result.metrics.drawn.n], ['X-CoT of xcot', 2, 1]);
  assert.ok(result.seconds.supervisedStep > 0 && result.seconds.reinforcement > 0);
  assert.ok(existsSync(file('cold-start', 'checkpoints')));
  assert.ok(existsSync(file('model', 'config.json')), 'the model that it made');
});

test('what is wrong with a command line is said by name', () => {
  for (const [args, said] of [
    [['--variant', 'half'], /--variant is one of full, control, control-targets, base/],
    [['--variant', 'control'], /controlSteps=N/],
    [['--scorers', path.join(root, 'nothing')], /nothing lacks\n {2}dreamsim/],
  ] as const) {
    const answer = train(...args);
    assert.notEqual(answer.status, 0);
    assert.match(answer.said, said);
  }
});
