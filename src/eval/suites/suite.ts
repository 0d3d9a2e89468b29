/** A suite: the benchmarks of a paper's table, and the protocol that the paper follows. One file a suite. */
import type { Protocol } from '../../data/protocol';
import type { Benchmark } from '../../data/benchmark';
import type { ChatJudge, ColorNamer, ImageScorer, ObjectDetector } from '../../data/judges';
import type { TextStyle } from '../../data/personalization';
import type { UnifiedModel } from '../../models/unified';
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
  /** Who scores a benchmark in the paper, where no column's name says it: another judge's number stands not beside it. */
  readonly judges?: Readonly<Record<string, string>>;
}

/** A benchmark of a suite that is not evaluated, and what it would take. */
export interface LeftOutPart {
  readonly name: string;
  readonly reason: string;
}

export interface SuiteParts {
  readonly benchmarks: readonly Benchmark[];
  readonly leftOut?: readonly LeftOutPart[];
}

/** What a suite is made from. */
export interface SuiteGiven {
  /** The folder of data; empty for a suite that makes its items. */
  readonly data: string;
  readonly judges: SuiteJudges;
  /** How sentences that are made here are put together, for questions in the words of the model. Default `plain`. */
  readonly style?: TextStyle;
  /** Of items that a suite makes. */
  readonly seed: number;
  /** Takes a judge that the suite has loaded by itself, to be freed at the end. */
  readonly keep: <M extends { dispose(): void }>(judge: M) => M;
}

export interface Suite {
  readonly name: string;
  /** One line for people: what is asked and who scores it. */
  readonly about: string;
  /** What lies where in the folder of data; absent for a suite that makes its items. */
  readonly data?: string;
  readonly protocol: Protocol;
  readonly paper?: PaperColumns;
  /** @throws SuiteError when nobody is there to score it; DataSetError when the folder is another set's */
  parts(given: SuiteGiven): SuiteParts | Promise<SuiteParts>;
  /** How a checkpoint is loaded. Default: as it is. */
  readonly load?: (folder: string) => Promise<UnifiedModel>;
}

/** A suite cannot be run as it was asked for. */
export class SuiteError extends Error {
  override readonly name = 'SuiteError';
}

/** @throws SuiteError when there is no scorer of images */
export function scorersOf({ scorers }: SuiteJudges): readonly ImageScorer[] {
  if (scorers.length > 0) return scorers;
  throw new SuiteError(
    'there is nobody to score images: name a folder of scorers (--scorers, with clip/, dinov2/ or dino/ in it), or a stand-in (--stand-ins mobilenet)',
  );
}
