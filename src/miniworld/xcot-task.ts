/**
 * Subject-driven images in the mini world. The evaluation shows subjects that no training showed, asks for combinations
 * of thing and place that no training asked for, and has the images read by a detector that no reward uses.
 */
import {
  type Assessment,
  type DrawnXcot,
  evaluateXcot,
  type XcotEvaluationOptions,
  type XcotExample,
  type XcotRecord,
  type XcotRecordsOf,
  type XcotTask,
} from '../data/xcot';
import type { Evaluation } from '../data/task';
import type { Rng } from '../engine';
import { type Image, imagesToTensor } from '../io';
import type { UnifiedModel } from '../models/unified';
import { type Detections, SceneDetector } from './detector';
import { backgroundProbability, presence } from './detector/score';
import { centered, cosine, FIGURE_COLUMNS, figureFeatures } from './detector/subject-similarity';
import { loadSprites, type SpriteSheet } from './sprites';
import {
  addXcotSubjects,
  exactRecord,
  focusScene,
  imageOf,
  type RenderedPair,
  renderPair,
  subjectCaption,
  reservedSubjects,
  shownSubjects,
  type XcotSubject,
  xcotSubjects,
  xcotWishes,
} from './xcot-subjects';

export type XcotTruth = RenderedPair['truth'];

/** Items of an evaluation: each another prompt; four for each of 32 subjects. */
const HELD_OUT_ITEMS = 128;

/**
 * `subject_similarity`: cosine with the subject's features, of the place that is most alike, in [-1, 1]. `identity`: of all
 * subjects the figure is most like a drawing of this one, in this color. `text_alignment`: mean probability of `object` and
 * `background`, what the prompt adds to the subject. `right`: identity, object in its color and background, all of them.
 * `drawn`: a result is there.
 */
export const XCOT_METRICS = [
  'subject_similarity',
  'identity',
  'text_alignment',
  'object',
  'background',
  'right',
  'drawn',
] as const;

/** Metrics where there is no result. */
export const MISSING_XCOT = {
  ...{ subject_similarity: 0, identity: 0, text_alignment: 0, object: 0, background: 0, right: 0 },
} as const;

export class MiniXcotTask implements XcotTask<XcotTruth> {
  readonly name = 'mini-world subjects';

  private constructor(
    private readonly sprites: SpriteSheet,
    private readonly detector: SceneDetector,
    private readonly known: SubjectFeatures,
  ) {}

  static async open(): Promise<MiniXcotTask> {
    const sprites = await loadSprites();
    await addXcotSubjects(sprites);
    const detector = await SceneDetector.load();
    return new MiniXcotTask(sprites, detector, new SubjectFeatures(detector, sprites));
  }

  sample(rng: Rng): XcotExample<XcotTruth> {
    return exampleOf(this.pair(rng, reservedSubjects));
  }

  /** See {@link shownSubjects} and {@link reservedSubjects}. */
  record(rng: Rng, of: XcotRecordsOf = 'cold-start'): XcotRecord {
    return exactRecord(this.pair(rng, of === 'cold-start' ? shownSubjects : reservedSubjects), this.sprites);
  }

  evaluate(model: UnifiedModel, rng: Rng, options: XcotEvaluationOptions = {}): Promise<Evaluation> {
    const examples = this.heldOut(options.count ?? HELD_OUT_ITEMS, rng.split('examples'));
    return evaluateXcot(model, examples, rng.split('items'), options, this.assessment());
  }

  /** See {@link heldOutXcot}. */
  heldOut(count: number, rng: Rng): XcotExample<XcotTruth>[] {
    return heldOutXcot(count, rng, this.sprites);
  }

  /** The true image of what a held-out example asks for. */
  targetOf({ truth }: XcotExample<XcotTruth>): Image {
    return imageOf(truth.target, this.sprites);
  }

  /** Frees the detector. */
  dispose(): void {
    this.detector.dispose();
  }

  private pair(rng: Rng, subjects: readonly XcotSubject[]): RenderedPair {
    const [subject, wish] = [rng.pick(subjects), rng.pick(xcotWishes('train'))];
    return renderPair(subject, wish, rng.split('pair'), this.sprites);
  }

  private assessment(): Assessment<XcotTruth> {
    return {
      assess: (drawn) => Promise.resolve(this.assess(drawn)),
      missing: MISSING_XCOT,
      cluster: ({ truth }) => subjectCaption(truth.subject),
    };
  }

  /** Metrics of each image, all but `drawn`. */
  assess(drawn: readonly DrawnXcot<XcotTruth>[]): Record<string, number>[] {
    const pixels = imagesToTensor(drawn.map(({ image }) => image));
    try {
      const detections = this.detector.detect(pixels);
      const likeness = this.known.score(pixels);
      return drawn.map(({ example: { truth } }, i) => scoresOf(truth, detections[i], likeness[i], this.known));
    } finally {
      pixels.dispose();
    }
  }
}

/**
 * Subjects that no training showed, by turns, no prompt twice.
 * @param sprites with the recolored subjects
 * @throws RangeError for more prompts than there are
 */
export function heldOutXcot(count: number, rng: Rng, sprites: SpriteSheet): XcotExample<XcotTruth>[] {
  const kinds = [...new Set(xcotSubjects('heldout').map(subjectCaption))];
  const wishes = new Map(
    kinds.map((kind) => [kind.split(' ').at(-1) as string, rng.split(kind).shuffle(xcotWishes('heldout'))]),
  );
  const order = rng.split('order').shuffle(kinds);
  return Array.from({ length: count }, (_, i) => {
    const kind = order[i % order.length];
    const own = rng.split('item').split(i);
    const subject = own.pick(xcotSubjects('heldout').filter((one) => subjectCaption(one) === kind));
    const wish = wishes.get(subject.object)?.pop();
    if (!wish)
      throw new RangeError(
        `${count} held-out prompts were asked for; those for a ${subject.object} are used up at ${i}`,
      );
    return exampleOf(renderPair(subject, wish, own, sprites));
  });
}

function scoresOf(
  { subject, wish: { background, object } }: XcotTruth,
  seen: Detections,
  likeness: Likeness,
  known: SubjectFeatures,
): Record<string, number> {
  const parts = {
    background: backgroundProbability(seen, background),
    ...(object && { object: presence(seen, object.object, object.color) }),
  };
  const values = Object.values(parts);
  const nearest = known.nearest(likeness);
  const identity = nearest.object === subject.object && nearest.color === subject.color;
  const beside =
    object === null || seen.items.some((one) => one.object === object.object && one.color === object.color);
  return {
    subject_similarity: likeness(subject),
    identity: Number(identity),
    text_alignment: values.reduce((a, b) => a + b, 0) / values.length,
    ...parts,
    right: Number(identity && beside && seen.background === background),
  };
}

function exampleOf({ id, prompt, reference, truth }: RenderedPair): XcotExample<XcotTruth> {
  return { id, prompt, references: [reference], truth };
}

/** How like an image's figure is to a subject. */
type Likeness = (subject: XcotSubject) => number;

const ALL_SUBJECTS = [...xcotSubjects('train'), ...xcotSubjects('heldout')];

const keyOf = ({ object, color, style }: XcotSubject) => `${color} ${object} ${style}`;

/** The detector's features of every subject, alone on white, around their common mean. */
class SubjectFeatures {
  private readonly mean: Float64Array;
  private readonly known: ReadonlyMap<string, Float64Array>;

  constructor(
    private readonly detector: SceneDetector,
    sprites: SpriteSheet,
  ) {
    const subjects = ALL_SUBJECTS;
    const place = FIGURE_COLUMNS.findIndex((x) => x === focusScene(subjects[0]).items[0].x);
    const features: Float32Array[] = [];
    for (let from = 0; from < subjects.length; from += 72) {
      const pixels = imagesToTensor(subjects.slice(from, from + 72).map((one) => imageOf(focusScene(one), sprites)));
      features.push(...figureFeatures(detector, pixels)[place]);
      pixels.dispose();
    }
    this.mean = Float64Array.from(features[0], (_, d) => features.reduce((sum, f) => sum + f[d], 0) / features.length);
    this.known = new Map(subjects.map((subject, i) => [keyOf(subject), centered(features[i], this.mean)]));
  }

  /** One function an image. @param pixels `[n, 64, 64, 3]` in [-1, 1] */
  score(pixels: Parameters<typeof figureFeatures>[1]): Likeness[] {
    const places = figureFeatures(this.detector, pixels);
    return places[0].map((_, i): Likeness => {
      const here = places.map((features) => centered(features[i], this.mean));
      return (subject) => Math.max(...here.map((one) => cosine(one, this.of(subject))));
    });
  }

  /** The drawing that a figure is most like. */
  nearest(likeness: Likeness): XcotSubject {
    return ALL_SUBJECTS.reduce((best, other) => (likeness(other) > likeness(best) ? other : best));
  }

  private of(subject: XcotSubject): Float64Array {
    return this.known.get(keyOf(subject)) as Float64Array;
  }
}
