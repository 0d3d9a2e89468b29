/** Policy losses: advantages, KL, loss and gradient of every case, and CoRL's, by the step that recipes call. */
import { tf } from '../../../src/engine';
import type { SegmentName, Trajectory } from '../../../src/models/unified';
import * as rl from '../../../src/rl';
import { type Check, close, closeOrRelative, holds } from './check';
import { GradientRecorder, LogProbPolicy, tableSegment, type TableTransition } from './log-prob-policy';

interface LossCase {
  name: string;
  adv: string;
  surrogate: 'clip' | 'cispo' | 'none';
  agg: string;
  level?: string;
  onpolicy?: boolean;
  eps_low?: number;
  eps_high?: number;
  eps_max?: number;
  delta?: number;
  beta?: number;
  kl?: 'k1' | 'k2' | 'k3';
  max_len?: number;
  alpha?: number[];
  n_und?: number[];
  loss: number;
  grad: number[][];
}

interface Description {
  rewards: number[][];
  mask: number[][];
  policy_logprobs: number[][];
  old_logprobs: number[][];
  ref_logprobs: number[][];
  advantages: Record<string, number[]>;
  kl_per_token: Record<'k1' | 'k2' | 'k3', number[][]>;
  cases: LossCase[];
  corl?: Corl;
}

interface Corl {
  cycle: number[][];
  tim: number[][];
  acc: number[][];
  format: number[][];
  lambda_: number;
  eps: number;
  mm2t_mask: number[][];
  t2i_policy: number[][];
  t2i_old: number[][];
  t2i_ref: number[][];
  advantages_unify_reward: number[];
  advantages_unify_advantage: number[];
  advantages_t2i: number[];
  advantages_mm2t: number[];
  cases: {
    name: string;
    beta: number;
    onpolicy: boolean;
    loss: number;
    loss_mm2t: number;
    loss_t2i: number;
    grad_mm2t: number[][];
    grad_t2i: number[][];
  }[];
}

/** The fixtures' names of advantages in ours. */
const advantageNames: Record<string, ['grpo' | 'dr_grpo' | 'rloo', rl.AdvantageOptions]> = {
  grpo_unbiased: ['grpo', {}],
  grpo_population: ['grpo', { population: true }],
  centred: ['dr_grpo', {}],
  batch_std: ['grpo', { scaleRewards: 'batch' }],
  rloo: ['rloo', {}],
  rloo_normalized: ['rloo', { normalize: true }],
};

/** The fixtures' names of aggregations in ours. */
const aggregationNames: Record<string, keyof typeof rl.aggregations> = {
  seq_mean: 'seq-mean-token-mean',
  token_mean: 'token-mean',
  const: 'seq-mean-token-sum-norm',
  seq_sum: 'seq-mean-token-sum',
  sequences: 'seq-mean-token-mean',
};

/** @see {@link closeOrRelative}: 1e-6 absolute or 1e-5 relative, in float32 */
const near = (name: string, quantity: string, got: ArrayLike<number>, expected: ArrayLike<number>): Check =>
  closeOrRelative(name, quantity, got, expected, 1e-6, 1e-5);

export async function* parity(
  _folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const d = description as unknown as Description;
  const advantages: Record<string, number[]> = { zero: d.mask.map(() => 0) };
  for (const [name, expected] of Object.entries(d.advantages)) {
    if (name === 'zero') continue; // given, not computed: for cases of KL alone
    const known = advantageNames[name];
    if (!known) {
      yield holds(name, 'advantages', false, 'unknown kind of advantages');
      continue;
    }
    advantages[name] = rl.groupAdvantages(known[0], d.rewards, known[1]).advantages;
    yield close(name, 'advantages', advantages[name], expected, 1e-9);
  }
  for (const name of ['k1', 'k2', 'k3'] as const) yield klCheck(d, name);
  for (const one of d.cases) yield* lossCase(d, one, advantages[one.adv]);
  if (d.corl) yield* corlCases(d, d.corl);
}

function klCheck(d: Description, name: 'k1' | 'k2' | 'k3'): Check {
  const kl = tf.tidy(() => rl.klEstimates[name](tf.sub(tf.tensor2d(d.policy_logprobs), tf.tensor2d(d.ref_logprobs))));
  const got = kl.dataSync<'float32'>();
  kl.dispose();
  const active = d.mask.flat();
  return near(
    name,
    'KL per token',
    got.filter((_, i) => active[i]),
    d.kl_per_token[name].flat().filter((_, i) => active[i]),
  );
}

async function* lossCase(d: Description, one: LossCase, advantages: number[]): AsyncGenerator<Check> {
  const recorded = one.onpolicy ? d.policy_logprobs : d.old_logprobs;
  const trajectories = d.mask.map((mask, row): Trajectory<TableTransition> => {
    const cut = one.n_und?.[row] ?? mask.length;
    const part = (name: SegmentName, from: number, to?: number) =>
      tableSegment(name, row, from, mask.slice(from, to), recorded[row].slice(from, to), mask.slice(from, to));
    const text = part('understanding', 0, cut);
    return { segments: one.n_und ? [text, part('generation', cut)] : [text] };
  });
  const options: rl.TrainStepInput = {
    importanceSamplingLevel:
      one.level === 'sequence_sum' ? 'sequence-sum' : one.level === 'sequence' ? 'sequence' : 'token',
    surrogate: one.surrogate,
    aggregation: aggregationNames[one.agg],
    epsilon: one.eps_low,
    epsilonHigh: one.eps_max ?? one.eps_high,
    delta: one.delta,
    beta: one.beta ?? 0,
    kl: one.kl,
    maxCompletionLength: one.max_len,
    segmentWeights: one.alpha && { understanding: one.alpha[0], generation: one.alpha[1] },
  };
  const policy = new LogProbPolicy({ understanding: d.policy_logprobs });
  const reference = new LogProbPolicy({ understanding: d.ref_logprobs });
  const { loss, gradients } = await stepOf(policy, reference, trajectories, advantages, options);
  yield near(one.name, 'loss', [loss], [one.loss]);
  yield near(one.name, 'gradient', gradients.understanding, one.grad.flat());
  policy.dispose();
  reference.dispose();
}

/** One step that is not taken: its loss and its gradients. */
async function stepOf(
  policy: LogProbPolicy,
  reference: LogProbPolicy,
  trajectories: readonly Trajectory<TableTransition>[],
  advantages: Parameters<typeof rl.trainStep>[3],
  options: rl.TrainStepInput,
): Promise<{ loss: number; gradients: Record<string, Float32Array> }> {
  const optimizer = new GradientRecorder();
  const { loss } = await rl.trainStep(policy, reference, trajectories, advantages, optimizer, {
    ...options,
    klClamp: null,
    oldLogProbs: 'sampled',
    maxGradNorm: 1e9,
    // The old log-probs of these fixtures are another policy's, and some of their losses are flat.
    selfChecks: { ratio: false, zeroGradient: false },
    chunk: 3,
  });
  return { loss, gradients: optimizer.gradients };
}

async function* corlCases(d: Description, corl: Corl): AsyncGenerator<Check> {
  const column = (groups: number[][], weight = 1): rl.RewardColumn => ({ groups, weight });
  const image = rl.weightedSums([column(corl.cycle), column(corl.tim)]);
  const text = rl.weightedSums([column(corl.acc), column(corl.format)]);
  const sides = [column(image), column(text, corl.lambda_)];
  const joint = rl.combinedAdvantages('grpo', sides).advantages;
  const joined = rl.combinedAdvantages('grpo', sides, { order: 'normalize-then-sum', whiten: false }).advantages;
  const separate = {
    understanding: rl.groupAdvantages('grpo', text).advantages,
    generation: rl.groupAdvantages('grpo', image).advantages,
  };
  yield close('corl', 'advantages of the summed reward', joint, corl.advantages_unify_reward, 1e-9);
  yield close('corl', 'joined advantages', joined, corl.advantages_unify_advantage, 1e-9);
  yield close('corl', 'image advantages', separate.generation, corl.advantages_t2i, 1e-9);
  yield close('corl', 'text advantages', separate.understanding, corl.advantages_mm2t, 1e-9);
  for (const one of corl.cases) {
    const advantages = one.name.startsWith('separate')
      ? separate
      : one.name.startsWith('unify_advantage')
        ? joined
        : joint;
    const [oldText, oldImage] = one.onpolicy ? [d.policy_logprobs, corl.t2i_policy] : [d.old_logprobs, corl.t2i_old];
    const trajectories = corl.mm2t_mask.map((mask, row) => ({
      segments: [
        tableSegment('understanding', row, 0, mask, oldText[row], mask),
        tableSegment(
          'generation',
          row,
          0,
          oldImage[row].map(() => 0),
          oldImage[row],
          oldImage[row].map(() => 1),
        ),
      ],
    }));
    const policy = new LogProbPolicy({ understanding: d.policy_logprobs, generation: corl.t2i_policy });
    const reference = new LogProbPolicy({ understanding: d.ref_logprobs, generation: corl.t2i_ref });
    const run = (understanding: number, generation: number) =>
      stepOf(policy, reference, trajectories, advantages, {
        surrogate: 'none',
        aggregation: 'segment-mean',
        beta: one.beta,
        segmentWeights: { understanding, generation },
      });
    const { loss, gradients } = await run(1, 1);
    const parts = [await run(1, 0), await run(0, 1)].map((part) => part.loss);
    const name = `corl ${one.name}`;
    yield near(name, 'loss, text and image loss', [loss, ...parts], [one.loss, one.loss_mm2t, one.loss_t2i]);
    yield near(name, 'text gradient', gradients.understanding, one.grad_mm2t.flat());
    yield near(name, 'image gradient', gradients.generation, one.grad_t2i.flat());
    policy.dispose();
    reference.dispose();
  }
}
