/** Runs benchmarks on a model, item by item, into a folder; killed at any moment it goes on, scoring nothing twice. */
import { askModel } from '../../data/ask-model';
import type { Protocol } from '../../data/protocol';
import { type Benchmark, type BenchmarkItem, goodItems, type ScoredItem } from '../../data/benchmark';
import type { ItemError } from '../../data/items';
import { JudgeError } from '../../data/judges';
import type { Rng } from '../../engine';
import { EvaluationFolder } from './run-files';
import type { ModelSource } from './model-source';

export interface SuiteProgress {
  readonly benchmark: string;
  /** Items that are done, of how many. */
  readonly done: number;
  readonly total: number;
  /** Estimate, from the items of this process; undefined before the first. */
  readonly secondsLeft?: number;
}

export interface SuiteRunOptions {
  /** What the evaluation is: it may go on only as the same. */
  readonly identity: object;
  /** Default false: a folder that holds an evaluation is an error. */
  readonly resume?: boolean;
  readonly protocol: Protocol;
  readonly rng: Rng;
  /** Items of each benchmark. Default: all. */
  readonly limit?: number;
  /** Items that the model is asked for at a time. Default 8. */
  readonly batchSize?: number;
  readonly progress?: (progress: SuiteProgress) => void;
  /** Stops between batches. */
  readonly signal?: AbortSignal;
}

/** An item without a score, and why. */
export interface LeftOutItem {
  readonly id: string;
  readonly reason: string;
}

/** What became of a benchmark. */
export interface BenchmarkResult {
  readonly benchmark: Benchmark;
  /** In the order of the set. */
  readonly items: readonly ScoredItem[];
  /** Items that can be read, scored or not. */
  readonly total: number;
  /** Items of the set that cannot be read. */
  readonly errors: readonly ItemError[];
  /** Items that a judge did not answer about; they are tried again when the evaluation goes on. */
  readonly unscored: readonly LeftOutItem[];
  /** Items that the model could not be asked, or nobody can score. They say nothing about the model, and count nowhere. */
  readonly unasked: readonly LeftOutItem[];
}

/** @throws RunError for the folder; SuiteError for the model; AbortError when it was stopped: what is scored is kept */
export async function runBenchmarks(
  folder: string,
  benchmarks: readonly Benchmark[],
  models: ModelSource,
  options: SuiteRunOptions,
): Promise<BenchmarkResult[]> {
  const files = await EvaluationFolder.open(folder, options.identity, options.resume ?? false);
  try {
    const results: BenchmarkResult[] = [];
    for (const benchmark of benchmarks) results.push(await runBenchmark(files, benchmark, models, options));
    return results;
  } finally {
    await files.close();
  }
}

async function runBenchmark(
  files: EvaluationFolder,
  benchmark: Benchmark,
  models: ModelSource,
  options: SuiteRunOptions,
): Promise<BenchmarkResult> {
  const { limit, batchSize = 8, signal } = options;
  const errors: ItemError[] = [];
  const ids: string[] = [];
  const subjects = new Map<string, string | undefined>();
  const unscorable: LeftOutItem[] = [];
  for await (const item of goodItems(benchmark, limit, (error) => errors.push(error))) {
    ids.push(item.id);
    subjects.set(item.id, item.subject);
    const reason = benchmark.unscorable?.(item);
    if (reason !== undefined) unscorable.push({ id: item.id, reason });
  }
  const nobody = new Set(unscorable.map(({ id }) => id));
  const isDone = (id: string) =>
    nobody.has(id) ||
    files.scoreOf(benchmark.name, id) !== undefined ||
    files.unaskedReason(benchmark.name, id) !== undefined;
  models.check(ids.filter((id) => !isDone(id)).map((id) => subjects.get(id)));
  const unscored: LeftOutItem[] = [];
  const say = reporter(benchmark.name, ids, isDone, options.progress);
  say();
  for await (const batch of batches(goodItems(benchmark, limit), batchSize, models.bySubject)) {
    signal?.throwIfAborted();
    if (batch.every(({ id }) => isDone(id))) continue;
    const asked = batch.filter(({ id }) => !nobody.has(id));
    await outputsOfBatch(files, benchmark, asked, models, options);
    unscored.push(
      ...(await scoreBatch(
        files,
        benchmark,
        asked.filter(({ id }) => !isDone(id)),
      )),
    );
    say();
  }
  const items = ids.flatMap((id) => files.scoreOf(benchmark.name, id) ?? []);
  const refused = ids.flatMap((id) => {
    const reason = files.unaskedReason(benchmark.name, id);
    return reason === undefined ? [] : [{ id, reason }];
  });
  return { benchmark, items, total: ids.length, errors, unscored, unasked: [...unscorable, ...refused] };
}

/** Says how far it is; the estimate is from what this process did. */
function reporter(
  benchmark: string,
  ids: readonly string[],
  isDone: (id: string) => boolean,
  progress: SuiteRunOptions['progress'],
): () => void {
  const count = () => ids.filter(isDone).length;
  const already = count();
  const started = performance.now();
  return () => {
    const done = count();
    const each = (performance.now() - started) / 1000 / (done - already);
    const secondsLeft = done > already ? (ids.length - done) * each : undefined;
    progress?.({ benchmark, done, total: ids.length, secondsLeft });
  };
}

/** Items in their order, so many at a time; with a model for each subject, of one subject. */
async function* batches<I extends BenchmarkItem>(
  items: AsyncIterable<I>,
  size: number,
  bySubject: boolean,
): AsyncGenerator<I[]> {
  let batch: I[] = [];
  for await (const item of items) {
    const isFull = batch.length >= size || (bySubject && batch.length > 0 && batch[0].subject !== item.subject);
    if (isFull) {
      yield batch;
      batch = [];
    }
    batch.push(item);
  }
  if (batch.length > 0) yield batch;
}

/** Asks the model for a batch, unless it was asked before. */
async function outputsOfBatch(
  files: EvaluationFolder,
  benchmark: Benchmark,
  batch: readonly BenchmarkItem[],
  models: ModelSource,
  { protocol, rng }: SuiteRunOptions,
): Promise<void> {
  if (batch.every(({ id }) => files.hasOutputs(benchmark.name, id))) return;
  const model = await models.modelOf(batch[0].subject);
  const outputs = await askModel(model, batch, protocol, rng.split(benchmark.name));
  await files.keepOutputs(
    benchmark.name,
    batch.map((item, i) => ({ item, outputs: outputs[i] })),
  );
}

/**
 * Scores items, all at once: judges behind a network are slow, not busy.
 * @returns those that a judge did not answer about
 */
async function scoreBatch(
  files: EvaluationFolder,
  benchmark: Benchmark,
  items: readonly BenchmarkItem[],
): Promise<LeftOutItem[]> {
  const unscored: LeftOutItem[] = [];
  const scoring = items.map(async (item) => {
    const outputs = await files.outputsOf(benchmark.name, item.id);
    try {
      const { scores, detail } = await benchmark.score(item, outputs);
      await files.keepScore({
        benchmark: benchmark.name,
        id: item.id,
        cluster: item.cluster ?? item.id,
        scores,
        detail,
      });
    } catch (error) {
      if (!(error instanceof JudgeError)) throw error;
      unscored.push({ id: item.id, reason: error.message });
    }
  });
  // Those that succeed are kept before the first failure is thrown.
  const failed = (await Promise.allSettled(scoring)).find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  return unscored;
}
