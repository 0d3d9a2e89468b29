/**
 * What a mini benchmark is: distinct held-out prompts with exact truth, a published scoring rule, and columns as the
 * papers' tables have them. A prompt drawn several times is repetitions of one prompt: they are averaged first, and
 * intervals resample prompts.
 */
import { type EvaluatedItem, type Evaluation, evaluationOf } from '../../data/task';
import { type Rng, tf } from '../../engine';
import { clusteredBootstrap, stratifiedBootstrap } from '../../eval';
import { type Image, tensorToImages } from '../../io';
import type { ImageOptions, TextOptions, UnifiedModel } from '../../models/unified';
import type { Detections, SceneDetector } from '../detector';
import type { Metric } from '../evaluation/metrics';
import { IMAGE_SIZE } from '../world';
import { THINK_FIRST } from '../thinking';

/** Distinct prompts of a tag, unless another number is asked for. */
export const PROMPTS_PER_TAG = 96;

export interface BenchmarkOptions {
  /** Distinct prompts of each tag. Default 96. */
  readonly n?: number;
  /** Times that each prompt is drawn or asked. Default 1. */
  readonly draws?: number;
  /** Whether questions ask for a thought first, see `THINK_FIRST`. Default false. */
  readonly thinking?: boolean;
  readonly image?: ImageOptions;
  readonly text?: TextOptions;
  /** Rows of a forward pass. Default 48. */
  readonly batchSize?: number;
  /** Told how far it is. */
  readonly progress?: (done: string) => void;
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
  evaluate(model: UnifiedModel, rng: Rng, options?: BenchmarkOptions): Promise<Evaluation>;
}

/** Every column with its interval, `overall` last; `n` counts distinct prompts. */
export function benchmarkMetrics(
  { columns, overall }: Pick<MiniBenchmark, 'columns' | 'overall'>,
  items: readonly EvaluatedItem[],
  rng: Rng,
): Record<string, Metric> {
  const of = (column: string) => {
    const there = items.filter(({ scores }) => column in scores);
    return { values: there.map(({ scores }) => scores[column]), ids: there.map(({ prompt }) => prompt) };
  };
  const out: Record<string, Metric> = {};
  for (const column of columns) {
    const { values, ids } = of(column);
    const { mean, ci95, clusters } = clusteredBootstrap(values, ids, { rng: rng.split(column), resamples: 2000 });
    out[column] = { value: mean, ci95, n: clusters };
  }
  if (overall) {
    const strata = overall.map(of);
    const { mean, ci95, clusters } = stratifiedBootstrap(strata, { rng: rng.split('overall'), resamples: 2000 });
    out.overall = { value: mean, ci95, n: clusters };
  }
  return out;
}

/** A prompt whose image is looked at. */
export interface DrawnPrompt {
  /** Tells it from every other. */
  readonly prompt: string;
  /** What is drawn, when it is more than the prompt: with what reasoning added. */
  readonly drawn?: string;
  readonly score: (detections: Detections) => Readonly<Record<string, number>>;
}

/** Draws every prompt, and has the images read by the detector. */
export async function evaluateDrawn(
  model: UnifiedModel,
  detector: SceneDetector,
  prompts: readonly DrawnPrompt[],
  rng: Rng,
  { draws = 1, image, batchSize = 48, progress }: BenchmarkOptions = {},
): Promise<Evaluation> {
  const all = Array.from({ length: draws }, (_, k) =>
    prompts.map((one) => ({ one, rng: rng.split(k).split(one.prompt) })),
  );
  const requests = all.flat();
  const items: EvaluatedItem[] = [];
  for (let from = 0; from < requests.length; from += batchSize) {
    progress?.(`images ${from}/${requests.length}`);
    const part = requests.slice(from, from + batchSize);
    const sampler = model.imageSampler(
      part.map((request) => ({
        prompt: model.prompt([request.one.drawn ?? request.one.prompt], 'generate'),
        rng: request.rng,
      })),
      image,
    );
    const segments = sampler.finish();
    const codes = segments.map((segment) => segment.codes);
    const pixels = tf.tidy(() => tf.clipByValue(model.imageTokenizer.decode(codes, segments[0].grid), -1, 1));
    try {
      const detections = detector.detect(pixels);
      const images = await tensorToImages(pixels);
      part.forEach(({ one }, i) =>
        items.push({ prompt: one.prompt, image: images[i], scores: one.score(detections[i]) }),
      );
    } finally {
      pixels.dispose();
    }
  }
  return evaluationOf(items);
}

/** A question that is answered in text. */
export interface AskedPrompt {
  readonly question: readonly (string | Image)[];
  /** Tells it from every other: the question, and what the image shows. */
  readonly prompt: string;
  readonly score: (answer: string) => Readonly<Record<string, number>>;
}

/** Greedy answers; a thought before them is for the rule to pass over. */
export function evaluateAsked(
  model: UnifiedModel,
  prompts: readonly AskedPrompt[],
  rng: Rng,
  { draws = 1, thinking = false, text, batchSize = 48, progress }: BenchmarkOptions = {},
): Evaluation {
  const options = { temperature: draws === 1 ? 0 : 1, maxNewTokens: thinking ? 28 : 8, ...text };
  const items: EvaluatedItem[] = [];
  for (let k = 0; k < draws; k++)
    for (let from = 0; from < prompts.length; from += batchSize) {
      progress?.(`answers ${k * prompts.length + from}/${draws * prompts.length}`);
      const part = prompts.slice(from, from + batchSize);
      const requests = part.map(({ question, prompt }) => ({
        prompt: model.prompt(thinking ? thinkingFirst(question) : question, 'understand'),
        rng: rng.split(k).split(prompt),
      }));
      model.sampleText(requests, options).forEach(({ text: answer }, i) => {
        const { prompt, score, question } = part[i];
        items.push({ prompt, text: answer, image: question.find(isImage), scores: score(answer) });
      });
    }
  return evaluationOf(items);
}

const isImage = (part: string | Image): part is Image => typeof part !== 'string';

/** The question with {@link THINK_FIRST} behind its last words. */
export const thinkingFirst = (question: readonly (string | Image)[]): (string | Image)[] =>
  question.map((part, i) => (i === question.length - 1 && typeof part === 'string' ? `${part} ${THINK_FIRST}` : part));

export const imageOf = (rgb: Uint8Array): Image => ({ width: IMAGE_SIZE, height: IMAGE_SIZE, rgb });

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
