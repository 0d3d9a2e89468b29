/**
 * X-CoT (MM-R1, Sec. 3.2): before an image of a subject is drawn, the subject is put into words, drawn alone, and the
 * image is planned. What a data set of it is made of, and what a task of it gives to a recipe.
 */
import type { Rng } from '../engine';
import type { Image } from '../io';
import type { ImageSegment, SequenceExample, Trajectory, UnifiedModel } from '../models/unified';
import {
  type EvaluatedItem,
  type Evaluation,
  evaluationOf,
  type EvaluationOptions,
  type Example,
  type Task,
} from './task';
import { imagesOf, sampleXcot, type Structure, type XcotSampling } from './xcot-sample';

/** One subject in two places, as Subjects200K has it: one image becomes the reference, the other what is to be drawn. */
export interface SubjectPair {
  readonly id: string;
  /** A word for what it is: `mug`. */
  readonly subject: string;
  readonly reference: Image;
  readonly target: Image;
  /** What the target shows; the user's prompt. */
  readonly prompt: string;
}

/** A pair with what is thought between its two images. */
export interface XcotRecord extends SubjectPair {
  /** What the subject is and looks like. */
  readonly caption: string;
  /** The subject alone. */
  readonly focus: Image;
  /** Layout, action and scene of the target. */
  readonly plan: string;
}

/** One request: a reference image and what is wanted. */
export interface XcotExample<Truth = unknown> extends Example<Truth> {
  /** The first one is shown. */
  readonly references: readonly [Image, ...Image[]];
  /** What a model that was never shown X-CoT is told to do first; parts of the prompt in structure `guided`. */
  readonly guide?: { readonly describe?: string; readonly plan?: string };
}

export interface XcotEvaluationOptions extends EvaluationOptions {
  /** Default `free`. */
  readonly structure?: Structure;
}

/** Whose records: of the subjects that the cold start shows, or of those that reinforcement draws. */
export type XcotRecordsOf = 'cold-start' | 'reinforcement';

export interface XcotTask<Truth = unknown> extends Task<XcotExample<Truth>> {
  /**
   * What supervised steps show; of no subject that the evaluation asks about.
   * @param of default `cold-start`; the same to a task that reserves no subjects for reinforcement
   */
  record(rng: Rng, of?: XcotRecordsOf): XcotRecord | Promise<XcotRecord>;
  evaluate(model: UnifiedModel, rng: Rng, options?: XcotEvaluationOptions): Promise<Evaluation>;
}

/** The sequence that the cold start teaches. */
export function sequenceOf({ reference, prompt, caption, focus, plan, target }: XcotRecord): SequenceExample {
  return { task: 'sequence', prompt: [reference, prompt], answer: [caption, focus, plan, target] };
}

/**
 * The image that a trajectory ends with, when it is made as the structure asks: an image that was drawn on the way is
 * no result.
 */
export function resultOf({ segments }: Trajectory, structure: Structure): ImageSegment | undefined {
  const images = segments.filter((segment) => segment.name === 'generation');
  return images.length === (structure === 'direct' ? 1 : 2) ? images.at(-1) : undefined;
}

/** What was drawn for an example, ready to be looked at. */
export interface DrawnXcot<Truth> {
  readonly example: XcotExample<Truth>;
  readonly image: Image;
}

/** How a task looks at what was drawn. */
export interface Assessment<Truth> {
  /** Metric -> value of each. */
  assess(drawn: readonly DrawnXcot<Truth>[]): Promise<readonly Readonly<Record<string, number>>[]>;
  /** The metrics of an example whose result is missing: the worst, since leaving it out would reward silence. */
  readonly missing: Readonly<Record<string, number>>;
  /** What an item's interval is clustered by instead of its prompt. */
  cluster?(example: XcotExample<Truth>): string;
}

/**
 * Draws each example once and has it assessed; `drawn`, the share that came to a result, is a metric of its own.
 * @throws RangeError for a model whose text cannot begin an image, where the structure is `free`
 */
export async function evaluateXcot<Truth>(
  model: UnifiedModel,
  examples: readonly XcotExample<Truth>[],
  rng: Rng,
  { structure = 'free', batchSize = 32, text, image }: XcotEvaluationOptions,
  assessment: Assessment<Truth>,
): Promise<Evaluation> {
  const items: EvaluatedItem[] = [];
  const sampling: XcotSampling = { structure, text, image };
  for (let from = 0; from < examples.length; from += batchSize) {
    const part = examples.slice(from, from + batchSize);
    const requests = part.map((example, i) => ({ example, rng: rng.split(from + i) }));
    const trajectories = await sampleXcot(model, requests, sampling);
    const images = await resultsOf(model, trajectories, structure);
    const drawn = part.flatMap((example, i) => (images[i] ? [{ example, image: images[i] }] : []));
    const scores = drawn.length > 0 ? await assessment.assess(drawn) : [];
    part.forEach((example, i) => {
      const at = drawn.findIndex((one) => one.example === example);
      const own = at < 0 ? { ...assessment.missing, drawn: 0 } : { ...scores[at], drawn: 1 };
      const said = trajectories[i].segments.flatMap((one) => (one.name === 'understanding' ? [one.text] : []));
      const cluster = assessment.cluster?.(example);
      const { prompt, references } = example;
      const shown = { reference: references[0], text: said.join(' | '), image: images[i] };
      items.push({ prompt, cluster, ...shown, scores: own });
    });
  }
  return evaluationOf(items);
}

/** The result of each trajectory as an image; undefined where there is none. */
export async function resultsOf(
  model: UnifiedModel,
  trajectories: readonly Trajectory[],
  structure: Structure,
): Promise<(Image | undefined)[]> {
  const segments = trajectories.map((trajectory) => resultOf(trajectory, structure));
  const drawn = segments.flatMap((segment) => segment ?? []);
  if (drawn.length === 0) return trajectories.map(() => undefined);
  const images = await imagesOf(model, drawn);
  return segments.map((segment) => segment && images[drawn.indexOf(segment)]);
}
