/**
 * Held-out evaluation of a personalized model: prompts in situations that training never asked for, answered and drawn
 * by the model, read by a judge that no reward uses. The same prompts and draws before and after, so that the
 * difference is a paired one.
 */
import { type Concept, type TiaExample, tiaExamples } from '../../miniworld';
import { Rng, tf } from '../../engine';
import { type SubjectSimilarity, scoreConcept, type SceneDetector } from '../../miniworld/detector';
import { pairedBootstrap, type PairedDifference } from '../../eval';
import type { Image } from '../../io';
import { tensorToImages } from '../../io';
import { tiaExample } from './examples';
import { questionParts, type RolloutContext } from './rollout';

/** Metrics of {@link evaluateConcept}, each in [0, 1] but `likeness`, a cosine. */
export const HELD_OUT_METRICS = ['shown', 'companion', 'identity', 'likeness', 'ground', 'reasoning'] as const;
export type HeldOutMetric = (typeof HELD_OUT_METRICS)[number];

export interface HeldOutResult {
  readonly prompt: string;
  readonly reasoning: string;
  readonly solution: string;
  readonly image: Image;
  /**
   * `companion`, `identity`, `ground`: how surely the reader sees the asked object in its color, this very concept,
   * the ground; `shown`: their mean; `likeness`: how near the figure comes to held-out reference images; `reasoning`: 1 when the answer is the right fact word for word.
   */
  readonly scores: Readonly<Record<HeldOutMetric, number>>;
}

/** `count` prompts about the concept's held-out facts; orders of facts and draws differ from prompt to prompt. */
export function heldOutExamples(concept: Concept, count: number, seed: number): TiaExample[] {
  const rng = new Rng(seed).split('held-out');
  const out: TiaExample[] = [];
  for (let round = 0; out.length < count; round++) out.push(...tiaExamples(concept, 'heldout', rng.split(round)));
  return out.slice(0, count);
}

/** The independent judge: a reader, and what it sees in the concept's held-out references. */
export interface HeldOutJudges {
  readonly reader: SceneDetector;
  readonly likeness: SubjectSimilarity;
}

/**
 * Reasons, draws and reads every example.
 * @param seed of the draws; the same seed before and after makes the comparison a paired one
 */
export async function evaluateConcept(
  context: RolloutContext,
  concept: Concept,
  examples: readonly TiaExample[],
  { reader, likeness }: HeldOutJudges,
  seed: number,
  batchSize = 32,
): Promise<HeldOutResult[]> {
  const { model, options } = context;
  const out: HeldOutResult[] = [];
  for (let from = 0; from < examples.length; from += batchSize) {
    const part = examples.slice(from, from + batchSize);
    const rngs = part.map((_, i) => new Rng(seed).split('evaluation').split(from + i));
    const questions = part.map((example) => tiaExample(concept, example));
    const asked = questions.map((q, i) => ({ prompt: model.prompt(questionParts(q), 'understand'), rng: rngs[i] }));
    const answers = options.understanding ? model.sampleText(asked, { maxNewTokens: options.maxAnswerTokens }) : [];
    const reasoning = part.map((_, i) => answers[i]?.text ?? '');
    const requests = questions.map((q, i) => ({
      prompt: model.prompt([options.understanding ? q.compound(reasoning[i]) : q.prompt], 'generate'),
      rng: rngs[i].split('picture'),
    }));
    const segments = model.imageSampler(requests, options.images).finish();
    const codes = segments.map((segment) => segment.codes);
    const pixels = tf.tidy(() => tf.clipByValue(model.imageTokenizer.decode(codes), -1, 1));
    const detections = reader.detect(pixels);
    const alike = likeness.score(pixels);
    const images = await tensorToImages(pixels);
    pixels.dispose();
    part.forEach((example, i) => {
      const score = scoreConcept(detections[i], concept.name, example.truth);
      const right = reasoning[i] === example.solution ? 1 : 0;
      out.push({
        prompt: example.prompt,
        reasoning: reasoning[i],
        solution: example.solution,
        image: images[i],
        scores: {
          shown: score.mean,
          companion: score.object ?? NaN,
          identity: score.identity,
          likeness: alike[i],
          ground: score.background,
          reasoning: right,
        },
      });
    });
  }
  return out;
}

/** Before and after, metric by metric, with a paired bootstrap interval of the difference. */
export function compareHeldOut(
  before: readonly HeldOutResult[],
  after: readonly HeldOutResult[],
  seed: number,
): Record<HeldOutMetric, PairedDifference> {
  const column = (results: readonly HeldOutResult[], metric: HeldOutMetric) =>
    results.map((result) => result.scores[metric]);
  const entries = HELD_OUT_METRICS.map((metric) => [
    metric,
    pairedBootstrap(column(before, metric), column(after, metric), { rng: new Rng(seed).split(metric) }),
  ]);
  return Object.fromEntries(entries) as Record<HeldOutMetric, PairedDifference>;
}
