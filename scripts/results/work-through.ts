/** Runs one by one: those that are finished are passed over, one that was killed is gone on with. */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Method, runMetrics } from '../../src/eval';
import { projectVersion } from '../../src/io/version';
import { Clock, inWords } from './clock';
import { type ListedRun, nameOf } from './runs';
import type { ResultStore } from './store';
import { writtenRatio } from './step-times';
import type { MethodRuns } from './work';

/** Pairs of steps that the control's number of steps is measured by. */
const TIMED_PAIRS = 8;

export interface WorkThrough {
  readonly methods: Readonly<Partial<Record<Method, MethodRuns>>>;
  readonly store: ResultStore;
  /** Holds the runs that are under way. */
  readonly folder: string;
  /** The checkpoint's folder of a run. */
  readonly modelOf: (run: ListedRun) => string;
  readonly limit?: number;
  readonly set?: readonly string[];
  /** What a run's command says behind its name, so that it can be given again. Default: nothing. */
  readonly told?: string;
  /** Called after every run. */
  readonly finished: () => Promise<void>;
  readonly say: (line: string) => void;
}

/** @throws Error of the run that failed; those before it are kept */
export async function workThrough(runs: readonly ListedRun[], context: WorkThrough): Promise<void> {
  const { store, say, finished } = context;
  const left = runs.filter((run) => !store.has(run));
  const times: number[] = [];
  for (const [i, run] of left.entries()) {
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    const rest = times.length > 0 ? `, about ${inWords(mean * (left.length - i))} left` : '';
    say(`${nameOf(run)} (${i + 1} of ${left.length}${rest})`);
    const start = performance.now();
    await perform(run, context);
    await finished();
    times.push((performance.now() - start) / 1000);
  }
  say(`${runs.length} runs are finished`);
}

async function perform(
  run: ListedRun,
  { methods, store, modelOf, limit, set, told = '', say, ...context }: WorkThrough,
) {
  const { method, variant, backbone, seed } = run;
  const runsOf = methods[method];
  if (!runsOf) throw new RangeError(`nobody knows how to run ${nameOf(run)}`);
  const folder = path.join(context.folder, nameOf(run));
  await mkdir(folder, { recursive: true });
  const model = modelOf(run);
  const clock = new Clock(path.join(folder, 'seconds'), say);
  const command = `make results RUNS=${nameOf(run)}${told}`;
  const ratio = (from = model) =>
    writtenRatio(path.join(store.folder, 'step-times.json'), { method, backbone, command }, () => {
      say('  measuring how long steps take');
      return runsOf.stepTimes(from, TIMED_PAIRS);
    });
  const tick = (stage: string, done: number, of: number) => clock.tick(stage, done, of);
  const { options, before, after, scope, log } = await runsOf.perform({ run, model, folder, limit, set, ratio, tick });
  const { metrics, items } = runMetrics(before, after, seed, scope);
  const minutes = Number(clock.minutes.toFixed(1));
  const result = { method, variant, backbone, seed, command, version: projectVersion(), options, minutes, metrics };
  if (log) await store.writeCurve(run, log);
  if (variant === 'full') await store.writeSheets(run, folder);
  await store.write(run, result, items);
  await rm(folder, { recursive: true });
}
