/** Programs that are killed: each begins a run in a folder, or goes on with the one there. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { RunKind } from './toy-runs';

export interface Program {
  readonly name: string;
  /** Arguments of Node. */
  readonly args: (folder: string) => readonly string[];
}

export const root = path.join(__dirname, '../../..');

export const toy = (kind: RunKind, steps: number): Program => ({
  name: `${kind} (toy)`,
  args: (folder) => {
    const compile = __filename.endsWith('.ts') ? ['-r', 'ts-node/register/transpile-only'] : [];
    return [...compile, path.join(__dirname, 'toy-runs'), folder, kind, String(steps)];
  },
});

const quick = [
  'groupSize=2',
  'dsog.batch=3',
  'dsog.targetPassRate=0.8',
  'subject.steps=3',
  'selfChecks.stopAfterFlatGroups=null',
];

/** The command line as people use it, on the mini models. */
export const real: Readonly<Record<RunKind, (steps: number) => Program>> = {
  'sync-grpo': (steps) => ({
    name: 'unilab train sync-grpo',
    args: (folder) => {
      const set = [`steps=${steps}`, ...quick].flatMap((option) => ['--set', option]);
      const resume = existsSync(path.join(folder, 'options.json')) ? ['--resume'] : [];
      const of = ['--preset', 'mini', '--held-out', '2', '--out', folder];
      return ['bin/unilab', 'train', 'sync-grpo', ...of, ...set, ...resume];
    },
  }),
  supervised: (steps) => ({
    name: 'unilab train face',
    args: (folder) => {
      const of = ['--steps', String(steps), '--checkpoint-every', '2', '--checkpoints', folder];
      return ['bin/unilab', 'train', 'face', ...of, '--out', path.join(folder, '../weights')];
    },
  }),
};

export interface Ended {
  /** Whether it was killed; otherwise it came to its end. */
  readonly killed: boolean;
  readonly seconds: number;
}

/**
 * Runs a program, all of it or until it is killed.
 * @param kill seconds after its start; or what `kill-at.cjs` is told
 * @throws Error with what it printed, when it ended in another way
 */
export async function execute(
  { name, args }: Program,
  folder: string,
  kill?: number | Readonly<Record<string, string>>,
): Promise<Ended> {
  const preload = typeof kill === 'object' ? ['-r', path.join(__dirname, 'kill-at.cjs')] : [];
  const child = spawn(process.execPath, [...preload, ...args(folder)], {
    cwd: root,
    env: {
      ...process.env,
      ...(typeof kill === 'object' ? kill : {}),
      UNILAB_PRECISION: 'float32',
      TS_NODE_PROJECT: path.join(root, 'tsconfig.json'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const started = performance.now();
  const timer = typeof kill === 'number' ? setTimeout(() => child.kill('SIGKILL'), 1000 * kill) : undefined;
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (printed += data.toString()));
  const status = await new Promise<number | string | null>((resolve) => {
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
  clearTimeout(timer);
  const killed = status === 'SIGKILL';
  if (!killed && status !== 0) throw new Error(`${name} ended with ${status}:\n${printed}`);
  return { killed, seconds: (performance.now() - started) / 1000 };
}
