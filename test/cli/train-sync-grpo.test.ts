import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startEngine } from '../../src/engine';
import { loadModel } from '../../src/models/load';

const root = mkdtempSync(path.join(tmpdir(), 'unilab-train-'));
before(() => startEngine({ quiet: true }));
after(() => rmSync(root, { recursive: true, force: true }));

const unilab = path.join(__dirname, '../../bin/unilab');

/** Exit status, and everything that was said. */
function train(...args: string[]): { status: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [unilab, 'train', 'sync-grpo', ...args], {
    cwd: root,
    encoding: 'utf8',
  });
  return { status, said: stdout + stderr };
}

const quick = ['--preset', 'mini', '--held-out', '2', '--set', 'subject.steps=2', '--set', 'dsog.enabled=false'];

test('--help has every option with its default', () => {
  const { status, said } = train('--help');
  assert.equal(status, 0);
  assert.match(said, /image\.guidanceScale +number +6 /);
  assert.match(said, /dsog\.targetPassRate .* 0\.25 /);
});

test('what is wrong with a command line is said by name', () => {
  const config = path.join(root, 'broken.json');
  writeFileSync(config, '{');
  for (const [args, said] of [
    [['--set', 'stepz=3', '--set', 'groupSize=1'], /groupSize[\s\S]*stepz|stepz[\s\S]*groupSize/],
    [['--config', config], /broken\.json/],
    [['--preset', 'large'], /paper or mini/],
    [['--held-out', 'x'], /--held-out/],
    [['--concept', 'nobody'], /nobody.*mira/],
    [['--data', root], /no concepts here/],
  ] as const) {
    const answer = train(...args);
    assert.notEqual(answer.status, 0);
    assert.match(answer.said, said);
  }
});

test('a run from a configuration file leaves its folder, with the model; it is not begun twice', async () => {
  const config = path.join(root, 'options.json');
  writeFileSync(config, JSON.stringify({ steps: 1, groupSize: 2, image: { steps: 2 } }));
  const args = [...quick, '--config', config, '--out', 'run'];
  const { status, said } = train(...args);
  assert.equal(status, 0, said);
  const file = (name: string) => path.join(root, 'run', name);
  const lines = readFileSync(file('metrics.jsonl'), 'utf8').trim().split('\n');
  assert.equal(lines.length, 1);
  const result = JSON.parse(readFileSync(file('result.json'), 'utf8')) as { steps: number; subject: string };
  assert.deepEqual([result.steps, result.subject], [1, 'mira']);
  assert.deepEqual(readdirSync(file('checkpoints')), ['step-00000001']);
  assert.ok(existsSync(file('model/concept_tokens.safetensors')), 'the model knows its subject');
  assert.equal((await loadModel(file('model'))).modelType, 'showo');
  const again = train(...args);
  assert.notEqual(again.status, 0);
  assert.match(again.said, /resume/);
});
