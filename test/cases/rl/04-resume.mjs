#!/usr/bin/env node
// `unilab train sync-grpo` and scripts/sync-grpo.ts, killed and resumed. A run's identity (its resolved options) and its
// log belong to the run, not to the process. About a minute. --keep leaves the folder.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(process.env.UNILAB_ROOT ?? path.join(here, '../../..'));
if (!fs.existsSync(path.join(root, 'dist/src/index.js'))) {
  console.error(`there is no dist/src/index.js in ${root}: run \`make setup\` first, or set UNILAB_ROOT`);
  process.exit(2);
}
const out = fs.mkdtempSync(path.join(os.tmpdir(), 'case-'));
const file = (name) => path.join(out, name);
const steps = () =>
  fs.existsSync(file('metrics.jsonl'))
    ? fs
        .readFileSync(file('metrics.jsonl'), 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line).step)
    : [];
const checkpoints = () =>
  fs.existsSync(file('checkpoints'))
    ? fs.readdirSync(file('checkpoints')).filter((name) => name.startsWith('step-'))
    : [];

const quick = [
  'steps=5',
  'groupSize=2',
  'dsog.batch=3',
  'dsog.targetPassRate=0.8',
  'subject.steps=3',
  'selfChecks.stopAfterFlatGroups=null',
];
const command = ['bin/unilab', 'train', 'sync-grpo', '--preset', 'mini', '--held-out', '2', '--out', out];
const set = (options) => options.flatMap((option) => ['--set', option]);
const script = ['-r', 'ts-node/register/transpile-only', 'scripts/sync-grpo.ts', '--held-out', '2', '--out', out];

/** Runs a program; a signal is sent when metrics.jsonl has grown to `after` lines. */
async function run(args, { signal, after = 0 } = {}) {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (printed += data));
  const ended = new Promise((resolve) => child.on('exit', (code, by) => resolve(code ?? by)));
  let over = false;
  ended.then(() => (over = true));
  if (signal) {
    while (!over && steps().length < after) await new Promise((r) => setTimeout(r, 20));
    child.kill(signal);
  }
  return { status: await ended, printed };
}

let bad = 0;
const check = (right, holds, found) => {
  console.log(holds ? `holds  ${right}` : `FAILS  ${right}\n       found: ${found}`);
  if (!holds) bad++;
};
const inOrder = (count) => steps().join() === Array.from({ length: count }, (_, i) => i + 1).join();

const train = [...command, ...set(quick)];
const killed = await run(train, { signal: 'SIGKILL', after: 2 });
check(
  '(a) killed by -9 after 2 steps: there is a checkpoint',
  killed.status === 'SIGKILL' && checkpoints().length > 0,
  `exit ${killed.status}, no checkpoint; ${killed.printed.slice(-500)}`,
);
const stopped = await run([...train, '--resume'], { signal: 'SIGINT', after: 3 });
const had = steps().length;
check(
  '(b) resumed and stopped by Ctrl-C: exit 130, a checkpoint of the last step, every step in the log',
  stopped.status === 130 && inOrder(had) && checkpoints().at(-1) === `step-${String(had).padStart(8, '0')}`,
  `exit ${stopped.status}; ${steps()}; ${checkpoints()}; ${stopped.printed.slice(-500)}`,
);
const ended = await run([...train, '--resume']);
check(
  '(b) resumed: metrics.jsonl has every step',
  ended.status === 0 && inOrder(5),
  `exit ${ended.status}; ${steps()}; ${ended.printed.slice(-500)}`,
);
const idle = await run([...train, '--resume']);
check(
  '(c) run again with nothing left to do: metrics.jsonl still has the 5 steps',
  idle.status === 0 && inOrder(5),
  `exit ${idle.status}; ${steps()}; ${idle.printed.slice(-500)}`,
);
const lines = fs.readFileSync(file('metrics.jsonl'), 'utf8').trim().split('\n');
const rewards = lines.map((line) => JSON.parse(line).reward);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const result = JSON.parse(fs.readFileSync(file('result.json'), 'utf8'));
check(
  '(c) and result.json is of the whole run, not of the last process',
  Math.abs(result.rewards.first - mean(rewards.slice(0, 5))) < 1e-6 &&
    Math.abs(result.rewards.last - mean(rewards.slice(-5))) < 1e-6,
  `${JSON.stringify(result.rewards)} for ${rewards}`,
);
const other = await run([...train, '--set', 'groupSize=4', '--resume']);
check(
  '(d) another recipe on the checkpoint of this one is an error that lists the differences',
  other.status === 1 && /groupSize: was 2, is 4/.test(other.printed),
  `exit ${other.status}; ${other.printed.slice(-500)}`,
);
const another = await run([...script, '--quick', '--resume']);
check(
  '(d) so it is by the script',
  another.status === 1 && /other options/.test(another.printed),
  `exit ${another.status}; ${another.printed.slice(-500)}`,
);
const forgotten = await run([...script, '--quick']);
check(
  '(e) without --resume a folder with a run is left alone',
  forgotten.status === 1 && /resume/.test(forgotten.printed) && inOrder(5),
  `exit ${forgotten.status}; ${forgotten.printed.slice(-500)}`,
);
if (process.argv.includes('--keep')) console.log(`kept: ${out}`);
else fs.rmSync(out, { recursive: true, force: true });
process.exit(bad ? 1 : 0);
