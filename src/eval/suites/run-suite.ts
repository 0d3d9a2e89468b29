/** Runs benchmarks on a model, item by item, into a folder; killed at any moment it goes on, scoring nothing twice. */
import { askModel, type Protocol } from '../../data/ask-model';
import { type Benchmark, type BenchmarkItem, goodItems, type ScoredItem } from '../../data/benchmark';
import type { ItemError } from '../../data/items';
import { JudgeError } from '../../data/judges';
import type { Rng } from '../../engine';
import { EvaluationFolder } from './run-files';
import type { ModelSource } from './model-source';

export interface SuiteProgress {
  readonly benchmark: string;
  /** Items scored, of how many. */
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

/** What became of a benchmark. */
export interface BenchmarkResult {
  readonly benchmark: Benchmark;
  /** In the order of the set. */
  readonly items: readonly ScoredItem[];
  /** Items of the set that cannot be read. */
  readonly errors: readonly ItemError[];
  /** Items that a judge did not answer about; they are tried again when the evaluation goes on. */
  readonly unscored: readonly { readonly id: string; readonly reason: string }[];
  /** Items that the model could not be asked, and why; they count as answered with nothing. */
  readonly unasked: readonly { readonly id: string; readonly reason: string }[];
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
  const { limit, batchSize = 8, progress, signal } = options;
  const errors: ItemError[] = [];
  const ids: string[] = [];
  for await (const { id } of goodItems(benchmark, limit, (error) => errors.push(error))) ids.push(id);
  const result = {
    benchmark,
    errors,
    unscored: [] as { id: string; reason: string }[],
    unasked: [] as { id: string; reason: string }[],
  };
  const already = ids.filter((id) => files.scoreOf(benchmark.name, id)).length;
  const started = performance.now();
  const say = () => {
    const done = ids.filter((id) => files.scoreOf(benchmark.name, id)).length;
    const each = (performance.now() - started) / 1000 / (done - already);
    const left = ids.length - done;
    progress?.({
      benchmark: benchmark.name,
      done,
      total: ids.length,
      secondsLeft: done > already ? left * each : undefined,
    });
  };
  say();
  for await (const batch of batches(goodItems(benchmark, limit), batchSize, models.bySubject)) {
    signal?.throwIfAborted();
    if (batch.every(({ id }) => files.scoreOf(benchmark.name, id))) continue;
    await outputsOfBatch(files, benchmark, batch, models, options);
    await scoreBatch(files, benchmark, batch, result);
    say();
  }
  const items = ids.flatMap((id) => files.scoreOf(benchmark.name, id) ?? []);
  return { ...result, items };
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

/** Scores the items of a batch that are not scored, all at once: judges behind a network are slow, not busy. */
async function scoreBatch(
  files: EvaluationFolder,
  benchmark: Benchmark,
  batch: readonly BenchmarkItem[],
  result: { unscored: { id: string; reason: string }[]; unasked: { id: string; reason: string }[] },
): Promise<void> {
  const scoring = batch.map(async (item) => {
    if (files.scoreOf(benchmark.name, item.id)) return;
    const outputs = await files.outputsOf(benchmark.name, item.id);
    if (outputs.problem !== undefined) result.unasked.push({ id: item.id, reason: outputs.problem });
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
      result.unscored.push({ id: item.id, reason: error.message });
    }
  });
  // Those that succeed are kept before the first failure is thrown.
  const failed = (await Promise.allSettled(scoring)).find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
}
