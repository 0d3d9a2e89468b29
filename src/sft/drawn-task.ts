/** A supervised task whose batches are drawn from examples: a function of random numbers, and the variables that learn. */
import { Rng, tf } from '../engine';
import type {
  RowCounts,
  SupervisedBatch,
  SupervisedExample,
  SupervisedLossOptions,
  UnifiedModel,
} from '../models/unified';
import { chooseSizes, fittingSizes } from '../nn/buckets';
import { workOf } from '../nn/row-inputs';
import type { SupervisedTask } from './loop';

export interface DrawnTaskOptions {
  readonly name: string;
  /** Names among the model's variables. Default: all of them. */
  readonly learning?: readonly string[];
  /** The examples of a step. */
  readonly draw: (rng: Rng) => readonly SupervisedExample[];
}

/** The task; prompts of images are never dropped, since guidance's unconditional branch has no subject to learn of. */
export function drawnTask(model: UnifiedModel, options: DrawnTaskOptions): SupervisedTask<SupervisedBatch> {
  const { name, draw } = options;
  const variables = model.variables();
  const { learning = Object.keys(variables) } = options;
  let sizes: SupervisedLossOptions['sizes'];
  return {
    name,
    variables: Object.fromEntries(learning.map((one) => [one, variables[one]])),
    batch: (_step, rng) => {
      sizes ??= sizesOf(model, draw);
      const examples = draw(rng);
      const [draws, settings] = [rng.split('loss'), { ...UNDROPPED, sizes }];
      const batch = model.supervisedBatch?.(examples, draws, settings);
      return batch ?? { tensors: {}, loss: () => model.supervisedLoss(examples, draws, settings) };
    },
    loss: (batch) => ({ loss: batch.loss(), metrics: {} }),
  };
}

const UNDROPPED = { cfgDropout: 0 } as const;

/** Batches that are looked at before the first step. */
const SAMPLE = 24;

/** Room for scored positions: so few cost nothing, and a batch of longer answers than the sample's has the same shape. */
const LEAST_SCORED = 32;

/** Share of a stage's work that a second shape must save: it costs a compilation. */
const WORTH = 0.2;

/** One or two shapes for the batches of a stage, chosen from batches like them, the same ones with every seed. */
function sizesOf(
  model: UnifiedModel,
  draw: (rng: Rng) => readonly SupervisedExample[],
): SupervisedLossOptions['sizes'] {
  const seen = new Map<string, RowCounts[]>();
  const noted = (kind: string, own: RowCounts): RowCounts => {
    seen.set(kind, [...(seen.get(kind) ?? []), { ...own, scored: Math.max(LEAST_SCORED, own.scored) }]);
    return own;
  };
  for (let i = 0; i < SAMPLE; i++) {
    const rng = new Rng(0).split(`sizes ${i}`);
    tf.dispose(model.supervisedBatch?.(draw(rng), rng, { ...UNDROPPED, sizes: noted })?.tensors);
  }
  const chosen = new Map([...seen].map(([kind, list]) => [kind, chooseSizes(list, workOf, WORTH)]));
  return (kind, own) => fittingSizes(own, chosen.get(kind) ?? []);
}
