/** Benchmarks of the mini world, named as mini, with the papers' columns and scoring rules. */
import type { MiniBenchmark } from './benchmark';
import { miniDpg } from './dpg';
import { miniGenEval } from './geneval';
import { miniMath } from './math';
import { miniMcq, miniOpen, miniPope } from './questions';
import { miniUnifyBench } from './unifybench';

export { evaluateMini, type MiniBenchmark, type MiniEvaluationOptions, type MiniItem } from './benchmark';

/** By the name that `unilab eval` takes. */
export const MINI_BENCHMARKS: Readonly<Record<string, MiniBenchmark>> = Object.fromEntries(
  [miniGenEval, miniDpg, miniMcq, miniOpen, miniMath, miniPope, miniUnifyBench].map((one) => [one.name, one]),
);
