/** What a policy step can be told, declared once. Names and meanings are TRL's where TRL has them. */
import * as z from 'zod';
import { group, nameIn, option } from '../io/options';
import { aggregations, importanceSamplingLevels, klEstimates, surrogates } from './losses';

const positive = z.number().positive();
const count = z.int().positive();

/** The loss. Recipes spread it into their own options and may declare an option anew, with another default. */
export const policyLossShape = {
  lossType: option(
    z.enum(['grpo', 'dr_grpo', 'dapo', 'bnpo']).nullable(),
    null,
    'The aggregation by its name in TRL; given, it takes the place of `aggregation`.',
  ),
  aggregation: option(nameIn(aggregations), 'segment-mean', 'How terms of tokens become one number.'),
  importanceSamplingLevel: option(
    nameIn(importanceSamplingLevels),
    'token',
    'What a ratio is of: a token, or a whole text or image.',
    { paper: 'GSPO, Eq. 7: sequence' },
  ),
  surrogate: option(nameIn(surrogates), 'clip', 'The objective of a token.'),
  epsilon: option(z.number().min(0).max(1), 0.2, 'Clipping range below.'),
  epsilonHigh: option(z.number().min(0), 0.2, 'Clipping range above. For cispo the bound itself, above 1.', {
    paper: 'DAPO: 0.28',
  }),
  delta: option(positive.nullable(), null, 'Bound of the unclipped ratio too, above 1 + epsilonHigh.', {
    paper: 'INTELLECT-2',
  }),
  beta: option(z.number().min(0), 0, 'Weight of the KL penalty; 0 asks for no reference.'),
  kl: option(nameIn(klEstimates), 'k3', 'Estimate of the KL divergence.'),
  klClamp: option(positive.nullable(), 10, 'A KL estimate of a token is held to [-klClamp, klClamp], as in verl.'),
  useBiasCorrectionKl: option(z.boolean(), false, 'Multiplies the KL of a token by its ratio.', {
    paper: 'DeepSeek-V3.2',
  }),
  segmentWeights: group(
    {
      understanding: option(z.number().min(0), 1, 'Weight of text.'),
      generation: option(z.number().min(0), 1, 'Weight of images.'),
    },
    'Weight of each kind of segment.',
  ),
  maxCompletionLength: option(count.nullable(), null, 'What dr_grpo divides by: tokens of the longest completion.'),
  topEntropyQuantile: option(
    z.number().gt(0).max(1),
    1,
    'Share of tokens, of highest entropy, that the surrogate keeps.',
    {
      paper: 'Beyond the 80/20 rule: 0.2',
    },
  ),
  maskTruncatedCompletions: option(z.boolean(), false, 'Leaves out trajectories with a text that the limit cut.', {
    paper: 'DAPO',
  }),
  oldLogProbs: option(
    z.enum(['auto', 'sampled', 'replayed']),
    'auto',
    "Whose log-probs the ratio's old ones are: the sampler's, or computed again before the first update. auto: replayed where products are bfloat16.",
  ),
  importanceSamplingCorrection: option(
    z.boolean(),
    false,
    'With replayed old log-probs: weighs tokens by min(exp(replayed - sampled), importanceSamplingCap).',
  ),
  importanceSamplingCap: option(positive, 2, 'C of the truncated importance sampling.'),
};

/** Checks that stop a run which learns nothing, or the wrong thing. */
export const selfChecksShape = {
  ratio: option(z.boolean(), true, 'The ratio is 1 at every scored position before the first update of a rollout.'),
  ratioTolerance: option(positive, 1e-4, 'How far from 1, where products are float32.'),
  mismatchTolerance: option(
    positive,
    0.2,
    'Where products are bfloat16: mean |replayed - sampled log-prob| of a chunk, at most. Finds what is wrong everywhere, as a temperature, guidance or image is; a few shifted positions only float32 finds.',
  ),
  zeroGradient: option(z.boolean(), true, 'Advantages that are not 0 have a gradient that is not 0.'),
  warnAfterFlatGroups: option(count.nullable(), 16, 'Groups in a row without spread of rewards before a warning.'),
  stopAfterFlatGroups: option(count.nullable(), 64, 'Groups in a row without spread of rewards before the run stops.'),
};

/** Everything that a policy step can be told. */
export const trainStepShape = {
  ...policyLossShape,
  learningRate: option(z.number().min(0).max(10), 1e-6, "AdamW's."),
  maxGradNorm: option(positive, 1, 'Global norm that gradients are clipped to.'),
  numIterations: option(count, 1, 'Passes over a rollout; the clip acts from the second update on.'),
  stepsPerGeneration: option(count, 1, 'Minibatches that the trajectories of a rollout are cut into.'),
  gradientAccumulationSteps: option(count, 1, 'Minibatches whose gradients make one update.'),
  refModelSyncSteps: option(
    count.nullable(),
    null,
    'Updates after which the reference follows the policy; null: never.',
  ),
  refModelMixupAlpha: option(
    z.number().gt(0).max(1),
    0.6,
    'alpha of reference = alpha policy + (1 - alpha) reference.',
  ),
  logEntropy: option(z.boolean(), false, 'Logs `entropy`, which costs a forward pass; the policy must give entropies.'),
  chunk: option(count.nullable(), null, 'Rows of a forward pass: memory and speed alone. null: 24, on wasm 6.'),
  selfChecks: group(selfChecksShape, 'What stops a run that learns nothing or the wrong thing.'),
};

const trainStepSchema = z.object(trainStepShape);

/** Resolved options. A recipe's own, with more in them, will do. */
export type TrainStepOptions = z.output<typeof trainStepSchema>;
/** Options as they are given; what is left out has its default. */
export type TrainStepInput = z.input<typeof trainStepSchema>;
export type SelfCheckOptions = TrainStepOptions['selfChecks'];

/**
 * Fills in defaults and checks what one option says of another.
 * @throws RangeError naming every option at fault
 */
export function resolveTrainStep(given: TrainStepInput): TrainStepOptions {
  const found = trainStepSchema.safeParse(given);
  if (!found.success) throw new RangeError(z.prettifyError(found.error));
  const options = found.data;
  const { delta, epsilonHigh, surrogate, oldLogProbs } = options;
  if (surrogate === 'cispo' && epsilonHigh < 1)
    throw new RangeError(`epsilonHigh is ${epsilonHigh}; for cispo it is the bound of the ratio itself, such as 5`);
  if (surrogate === 'clip' && delta !== null && delta <= 1 + epsilonHigh)
    throw new RangeError(`delta is ${delta}; it must be above 1 + epsilonHigh = ${1 + epsilonHigh}`);
  if (options.importanceSamplingCorrection && oldLogProbs === 'sampled')
    throw new RangeError('importanceSamplingCorrection needs replayed old log-probs');
  if (aggregationOf(options) === aggregations.dr_grpo && options.maxCompletionLength === null)
    throw new RangeError('dr_grpo divides by the longest completion: maxCompletionLength must be given');
  return options;
}

/** The aggregation in force. */
export function aggregationOf({ lossType, aggregation }: Pick<TrainStepOptions, 'lossType' | 'aggregation'>) {
  return aggregations[lossType ?? aggregation];
}
