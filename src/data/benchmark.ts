/**
 * A benchmark: items that a model is asked for, how one item's answer is scored, and how scores become the columns of a
 * published table. `BenchmarkTask` makes a task of it; `eval/suites` runs several as one evaluation.
 */
import type { Image } from '../io';
import type { ItemError, Reading } from './items';

/** What a model is asked for. Images are read when it is asked, not before. */
export type Ask =
  | {
      readonly kind: 'answer';
      /** Text and images in their order; `<sks>` stands for a subject that the model learned. */
      readonly parts: () => Promise<readonly (string | Image)[]>;
      /** The same in words, for a model that did not learn the subject. */
      readonly inWords?: () => Promise<readonly (string | Image)[]>;
    }
  | {
      readonly kind: 'image';
      /** What is to be drawn; `<sks>` stands for a subject that the model learned. */
      readonly prompt: string;
      /** The same in words, for a model that did not learn the subject. */
      readonly inWords?: string;
      /** Images of the subject, for a model that is shown it. */
      readonly references?: () => Promise<readonly Image[]>;
      /** What is asked before it is drawn; the answer completes the prompt, and is the first of the texts. */
      readonly reason?: {
        readonly question: string;
        /** The same in words, for a model that did not learn the subject. */
        readonly inWords?: string;
        readonly complete: (prompt: string, answer: string) => string;
      };
      /** What is asked about the image that the model has drawn, for sets that test whether it knows what it drew. */
      readonly thenAsked?: readonly string[];
    };

export interface BenchmarkItem {
  /** Tells it from all others of its benchmark. */
  readonly id: string;
  readonly ask: Ask;
  /** Items of one cluster say the same thing twice: intervals resample clusters. Default: the id. */
  readonly cluster?: string;
  /** A subject of which a model may have learned; models that are learned for each subject are loaded by it. */
  readonly subject?: string;
}

/** What a model gave. */
export interface Outputs {
  /** Answers: one to a question; one to `reason` of an {@link Ask}; one a question and image to `thenAsked`, image by image. */
  readonly texts: readonly string[];
  /** As many as the protocol draws of a prompt. */
  readonly images: readonly Image[];
}

/** How an item was scored. */
export interface ItemScore<D = unknown> {
  /** Name -> number. A score that could not be had is left out. */
  readonly scores: Readonly<Record<string, number>>;
  /** What the rule of the table is asked with: a judge's answers, what was said, what a detector found. Plain JSON. */
  readonly detail: D;
}

/** A scored item, as it is kept. */
export interface ScoredItem<D = unknown> extends ItemScore<D> {
  readonly id: string;
  readonly cluster: string;
}

/** A column of the table. */
export interface Column<D = unknown> {
  readonly name: string;
  /** Items that it is of. Default: all. */
  applies?(item: ScoredItem<D>): boolean;
  /** Scores of whose means it is the plain mean, where it is one: then it can be made from scores alone. */
  readonly over?: readonly string[];
  /** @returns NaN when the items that it needs are missing */
  value(items: readonly ScoredItem<D>[]): number;
}

export interface Benchmark<I extends BenchmarkItem = BenchmarkItem, D = unknown> {
  /** `geneval`, `mmmu`. */
  readonly name: string;
  /** Who scores: names of models, `rule` for a rule alone. */
  readonly judges: readonly string[];
  readonly columns: readonly Column<D>[];
  /** The paper's columns that are not measured, each with what it would take. */
  readonly missing?: readonly string[];
  /** Items hold bytes of images: they are never all in memory. Default: they hold names of files. */
  readonly holdsImages?: boolean;
  items(): Reading<I>;
  /** Why nobody who is there can score an item; such an item is not asked. Default: each can be scored. */
  unscorable?(item: I): string | undefined;
  /** @throws JudgeError when a judge did not answer: the item is tried again later */
  score(item: I, outputs: Outputs): Promise<ItemScore<D>>;
}

/** The items of a benchmark that can be asked, and what is wrong with the others. */
export async function* goodItems<I extends BenchmarkItem>(
  benchmark: Benchmark<I>,
  limit = Infinity,
  onError: (error: ItemError) => void = () => undefined,
): AsyncGenerator<I> {
  let count = 0;
  if (limit <= 0) return;
  for await (const read of benchmark.items()) {
    if ('error' in read) onError(read.error);
    else {
      yield read.item;
      if (++count >= limit) return;
    }
  }
}
