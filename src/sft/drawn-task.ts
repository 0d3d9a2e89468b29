/** A supervised task whose batches are drawn from examples: a function of random numbers, and the variables that learn. */
import { Rng, tf } from '../engine';
import type { Image } from '../io';
import type {
  EncodedImage,
  ImageTokenizer,
  InterleavedExample,
  RowCounts,
  SupervisedBatch,
  SupervisedExample,
  SupervisedLossOptions,
  UnifiedModel,
} from '../models/unified';
import { chooseSizes, fittingSizes } from '../nn/buckets';
import { workOf } from '../nn/row-inputs';
import type { SupervisedTask } from './loop';

/** A model that learns of examples of a kind: a `UnifiedModel`, or an `InterleavedModel` and sequences too. */
export interface Learner<Example extends InterleavedExample> {
  readonly imageTokenizer: Pick<ImageTokenizer, 'stride'>;
  variables: UnifiedModel['variables'];
  supervisedBatch?(examples: readonly Example[], rng: Rng, options?: SupervisedLossOptions): SupervisedBatch;
  supervisedLoss(examples: readonly Example[], rng: Rng, options?: SupervisedLossOptions): tf.Scalar;
}

export interface DrawnTaskOptions<Example extends InterleavedExample = SupervisedExample> {
  readonly name: string;
  /** Names among the model's variables. Default: all of them. */
  readonly learning?: readonly string[];
  /** The examples of a step. */
  readonly draw: (rng: Rng) => readonly Example[] | Promise<readonly Example[]>;
  /** Default: no prompt is dropped, and nothing is corrupted. */
  readonly settings?: Omit<SupervisedLossOptions, 'sizes'>;
}

/** The task. Its batches are padded to a few sizes, chosen from batches like them before the first step. */
export function drawnTask<Example extends InterleavedExample = SupervisedExample>(
  model: Learner<Example>,
  options: DrawnTaskOptions<Example>,
): SupervisedTask<SupervisedBatch> {
  const { name, draw, settings = { cfgDropout: 0 } } = options;
  const variables = model.variables();
  const { learning = Object.keys(variables) } = options;
  let sizes: SupervisedLossOptions['sizes'];
  return {
    name,
    variables: Object.fromEntries(learning.map((one) => [one, variables[one]])),
    batch: async (_step, rng) => {
      sizes ??= await sizesOf(model, draw, settings);
      const examples = await draw(rng);
      const [draws, sized] = [rng.split('loss'), { ...settings, sizes }];
      const batch = model.supervisedBatch?.(examples, draws, sized);
      return batch ?? { tensors: {}, loss: () => model.supervisedLoss(examples, draws, sized) };
    },
    loss: (batch) => ({ loss: batch.loss(), metrics: {} }),
  };
}

/** Batches that are looked at before the first step. */
const SAMPLE = 24;

/** Room for scored positions: so few cost nothing, and a batch of longer answers than the sample's has the same shape. */
const LEAST_SCORED = 32;

/** Share of a stage's work that a second shape must save: it costs a compilation. */
const WORTH = 0.2;

/** One or two shapes for the batches of a stage, chosen from batches like them, the same ones with every seed. */
async function sizesOf<Example extends InterleavedExample>(
  model: Learner<Example>,
  draw: DrawnTaskOptions<Example>['draw'],
  settings: SupervisedLossOptions,
): Promise<SupervisedLossOptions['sizes']> {
  const seen = new Map<string, RowCounts[]>();
  const noted = (kind: string, own: RowCounts): RowCounts => {
    seen.set(kind, [...(seen.get(kind) ?? []), { ...own, scored: Math.max(LEAST_SCORED, own.scored) }]);
    return own;
  };
  if (!model.supervisedBatch) return undefined;
  const blank = blankImages(model.imageTokenizer.stride);
  for (let i = 0; i < SAMPLE; i++) {
    const rng = new Rng(0).split(`sizes ${i}`);
    const examples = (await draw(rng)).map((example) => withoutPixels(example, blank) as Example);
    tf.dispose(model.supervisedBatch(examples, rng, { ...settings, sizes: noted }).tensors);
  }
  const chosen = new Map([...seen].map(([kind, list]) => [kind, chooseSizes(list, workOf, WORTH)]));
  return (kind, own) => fittingSizes(own, chosen.get(kind) ?? []);
}

type Part = Image | EncodedImage;

/** Codes of no image in the place of an image's: as many as it has, so that sizes are known and nothing is encoded. */
const blankImages =
  (stride: number) =>
  (image: Part): EncodedImage => {
    if ('codes' in image) return image;
    const grid = [image.height, image.width].map((side) => Math.floor(side / stride)) as [number, number];
    return { codes: new Int32Array(grid[0] * grid[1]), grid };
  };

/** The example with {@link blankImages} where images are codes for every model: those that are drawn, and sequences'. */
function withoutPixels(example: InterleavedExample, blank: (image: Part) => EncodedImage): InterleavedExample {
  if (example.task === 'generate') return { ...example, image: blank(example.image) };
  if (example.task !== 'sequence') return example;
  const blanked = (parts: readonly (string | Part)[]) =>
    parts.map((part) => (typeof part === 'string' ? part : blank(part)));
  return { ...example, prompt: blanked(example.prompt), answer: blanked(example.answer) };
}
