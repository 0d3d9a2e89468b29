/**
 * What a mini benchmark is: distinct held-out prompts with exact truth, a published scoring rule, and columns as the
 * papers' tables have them. It runs as the published sets do: as a suite of `unilab eval`, and as a task's evaluation.
 */
import type { Benchmark, BenchmarkItem } from '../../data/benchmark';
import { BenchmarkTask } from '../../data/benchmark-task';
import { meanColumn, meanOfMeans } from '../../data/columns';
import type { Evaluation } from '../../data/task';
import type { Rng } from '../../engine';
import type { Image } from '../../io';
import type { ImageOptions, TextOptions, UnifiedModel } from '../../models/unified';
import { type Detections, SceneDetector } from '../detector';
import { MINI_DETECTOR, readImages } from '../mini-detector';
import { loadSprites, type SpriteSheet } from '../sprites';
import { THINK_FIRST } from '../thinking';
import { IMAGE_SIZE } from '../world';

/** Distinct prompts of a tag, unless another number is asked for. */
export const PROMPTS_PER_TAG = 96;

/** Tag -> score, 0 to 1. */
export type TagScores = Readonly<Record<string, number>>;

export interface MiniItem extends BenchmarkItem {
  /** Scores what was said: to the question, or before the image was drawn. */
  readonly hear?: (answer: string) => TagScores;
  /** Scores an image as the detector reads it; the mean over images counts. */
  readonly look?: (seen: Detections) => TagScores;
}

/** Something to be measured, and how its numbers are put together. */
export interface MiniBenchmark {
  readonly name: string;
  /** One line for people: what is asked, and by which rule it is scored. */
  readonly about: string;
  /** Of tags that stand in the items' scores, in the papers' order. */
  readonly columns: readonly string[];
  /** The plain mean over these columns; absent where the columns are views of the same questions. */
  readonly overall?: readonly string[];
  /** @param count distinct prompts of each tag; tags come by turns, so that the first few items are of all of them */
  items(count: number, rng: Rng, sprites: SpriteSheet): readonly MiniItem[];
}

/** As the published sets are: with a column for each tag, and `overall`. */
export function asBenchmark(
  { name, columns, overall }: Pick<MiniBenchmark, 'name' | 'columns' | 'overall'>,
  items: readonly MiniItem[],
  detector: SceneDetector,
): Benchmark<MiniItem, null> {
  const tags = columns.map((tag) => meanColumn(tag));
  return {
    name,
    judges: items.some(({ look }) => look) ? ['rule', MINI_DETECTOR] : ['rule'],
    columns: overall ? [...tags, meanOfMeans('overall', overall)] : tags,
    async *items() {
      for (const item of await Promise.resolve(items)) yield { item };
    },
    async score({ hear, look }, { texts: [answer = ''], images }) {
      const looked = look && images.length > 0 ? (await readImages(detector, images)).map(look) : [];
      return { scores: { ...hear?.(answer), ...meanScores(looked) }, detail: null };
    },
  };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function meanScores(scores: readonly TagScores[]): TagScores {
  const [first = {}] = scores;
  return Object.fromEntries(Object.keys(first).map((tag) => [tag, mean(scores.map((one) => one[tag]))]));
}

export interface MiniEvaluationOptions {
  /** Distinct prompts of each tag. Default 96. */
  readonly count?: number;
  /** Images drawn of a prompt. Default 1. */
  readonly samples?: number;
  /** Whether questions ask for a thought first, see `THINK_FIRST`. Default false. */
  readonly thinking?: boolean;
  readonly image?: ImageOptions;
  readonly text?: TextOptions;
  /** Items of a forward pass. Default 48. */
  readonly batchSize?: number;
}

/** The benchmark on a model in memory: its columns as metrics, its items with their images and answers. */
export async function evaluateMini(
  benchmark: MiniBenchmark,
  model: UnifiedModel,
  rng: Rng,
  { count = PROMPTS_PER_TAG, samples, thinking = false, text, image, batchSize = 48 }: MiniEvaluationOptions = {},
): Promise<Evaluation> {
  const [sprites, detector] = [await loadSprites(), await SceneDetector.load()];
  try {
    const items = benchmark.items(count, rng.split('prompts'), sprites);
    const instruction = thinking ? THINK_FIRST : undefined;
    const task = new BenchmarkTask(asBenchmark(benchmark, items, detector), { samples, instruction });
    const said = { temperature: 0, maxNewTokens: thinking ? THOUGHT_TOKENS : ANSWER_TOKENS, ...text };
    return await task.evaluate(model, rng.split('answers'), { batchSize, text: said, image });
  } finally {
    detector.dispose();
  }
}

/** Room for an answer, and for a thought before it. */
export const ANSWER_TOKENS = 8;
export const THOUGHT_TOKENS = 28;

/** First one of each list, then the second ones, and so on. */
export function byTurns<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1))).flat();
}

export const imageOf = (rgb: Uint8Array): Image => ({ width: IMAGE_SIZE, height: IMAGE_SIZE, rgb });

/** A question about an image that is there already. */
export const askedAbout = (image: Image, text: string): BenchmarkItem['ask'] => ({
  kind: 'answer',
  parts: () => Promise.resolve([image, text]),
});

/**
 * `count` things, no two of one key: first one of each kind in turn, then again, so that every kind has its share.
 * @param make a thing of the kind; undefined when there is none of it
 * @throws RangeError when so many distinct ones are not found
 */
export function distinct<T>(
  what: string,
  count: number,
  kinds: number,
  make: (kind: number, attempt: number) => T,
  key: (one: T) => string,
): T[] {
  const found = new Map<string, T>();
  for (let attempt = 0; found.size < count; attempt++) {
    if (attempt > 40 * count)
      throw new RangeError(`${what} has ${found.size} distinct prompts, ${count} were asked for: ask for fewer`);
    const one = make(attempt % kinds, attempt);
    if (!found.has(key(one))) found.set(key(one), one);
  }
  return [...found.values()];
}
