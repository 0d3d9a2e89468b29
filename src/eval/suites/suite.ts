/** A suite: the benchmarks of a paper's table, and the protocol that the paper follows. One file a suite. */
import type { Protocol } from '../../data/ask-model';
import type { Benchmark } from '../../data/benchmark';
import type { ChatJudge, ColorNamer, ImageScorer, ObjectDetector } from '../../data/judges';
import type { PaperName } from '../papers';

/** Who is there to score. Whoever is missing is asked for by name. */
export interface SuiteJudges {
  /** CLIP-T, CLIP-I, DINO and the like, or stand-ins. */
  readonly scorers: readonly ImageScorer[];
  readonly detector?: ObjectDetector;
  readonly colors?: ColorNamer;
  /** An LLM or VLM behind an endpoint. */
  readonly judge?: ChatJudge;
}

/** Columns of a paper's table beside which a suite's may stand. */
export interface PaperColumns {
  readonly paper: PaperName;
  readonly table: string;
  /** `BENCHMARK/COLUMN` of the suite -> name of the paper's column; only for the judges that the paper has. */
  readonly columns: Readonly<Record<string, string>>;
}

export interface Suite {
  readonly name: string;
  /** One line for people: what is asked and who scores it. */
  readonly about: string;
  /** What lies where in the folder of data. */
  readonly data: string;
  readonly protocol: Protocol;
  readonly paper?: PaperColumns;
  /**
   * @param data the folder of data
   * @throws SuiteError when nothing of it is there, or nobody is there to score it
   */
  benchmarks(data: string, judges: SuiteJudges): readonly Benchmark[];
}

/** A suite cannot be run as it was asked for. */
export class SuiteError extends Error {
  override readonly name = 'SuiteError';
}

/** @throws SuiteError saying what a judge is needed for, and how it is named */
export function needed<T>(judge: T | undefined, what: string): T {
  if (judge === undefined) throw new SuiteError(`there is nobody to score it: ${what}`);
  return judge;
}

/** @throws SuiteError when there is no scorer of images */
export function scorersOf({ scorers }: SuiteJudges): readonly ImageScorer[] {
  if (scorers.length > 0) return scorers;
  throw new SuiteError(
    'there is nobody to score images: name a folder of scorers (--scorers, with clip/, dinov2/ or dino/ in it), or a stand-in (--stand-ins mobilenet)',
  );
}
