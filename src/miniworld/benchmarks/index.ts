/** Benchmarks of the mini world, named as mini, with the papers' columns and scoring rules. */
import type { MiniBenchmark } from './benchmark';
import { miniDpg } from './dpg';
import { miniGenEval } from './geneval';
import { miniMath } from './math';
import { miniMcq, miniOpen, miniPope } from './questions';

export { evaluateUnifyBench, UNIFY_COLUMNS } from './unifybench';
export { benchmarkMetrics, type BenchmarkOptions, type MiniBenchmark } from './benchmark';

/** By the name that `unilab eval` takes. */
export const MINI_BENCHMARKS: Readonly<Record<string, MiniBenchmark>> = Object.fromEntries(
  [miniGenEval, miniMath, miniMcq, miniOpen, miniPope, miniDpg].map((one) => [one.name, one]),
);
