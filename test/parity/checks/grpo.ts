/** Policy losses: advantages, KL, loss and gradient of every case, and CoRL's. */
import { tf } from '../../../src/engine';
import * as rl from '../../../src/rl';
import { type Check, close, closeOrRelative, holds } from './check';

interface LossCase {
  name: string;
  adv: string;
  surrogate: string;
  agg: string;
  level?: string;
  onpolicy?: boolean;
  eps_low?: number;
  eps_high?: number;
  eps_max?: number;
  delta?: number;
  beta?: number;
  kl?: string;
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
  kl_per_token: Record<string, number[][]>;
  cases: LossCase[];
  corl?: Corl;
}

interface Corl extends rl.CorlRewards {
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
const advantageNames: Record<string, [string, rl.AdvantageOptions]> = {
  grpo_unbiased: ['grpo', {}],
  grpo_population: ['grpo', { population: true }],
  centred: ['dr_grpo', {}],
  batch_std: ['grpo', { std: 'batch' }],
  rloo: ['rloo', {}],
  rloo_normalized: ['rloo', { normalize: true }],
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
  for (const [name, expected] of Object.entries(d.kl_per_token)) yield klCheck(d, name, expected);
  for (const one of d.cases) yield* lossCase(d, one, advantages);
  if (d.corl) yield* corlCases(d, d.corl);
}

function klCheck(d: Description, name: string, expected: number[][]): Check {
  const batch = { ...side(d.policy_logprobs, d.old_logprobs, d.ref_logprobs, d.mask), advantages: d.mask.map(() => 0) };
  const kl = tf.tidy(() => rl.klPerToken(batch, { kl: name, klClamp: Infinity }));
  const got = kl.dataSync();
  tf.dispose([kl, batch.logProbs, batch.oldLogProbs, batch.refLogProbs, batch.mask]);
  const active = d.mask.flat();
  return near(
    name,
    'KL per token',
    got.filter((_, i) => active[i]),
    expected.flat().filter((_, i) => active[i]),
  );
}

function* lossCase(d: Description, one: LossCase, advantages: Record<string, number[]>): Generator<Check> {
  const options: rl.PolicyLossOptions = {
    ratio: one.level ?? 'token',
    surrogate: one.surrogate,
    aggregation: one.agg,
    epsilon: one.eps_low,
    epsilonHigh: one.eps_high,
    epsMax: one.eps_max,
    delta: one.delta,
    beta: one.beta ?? 0,
    kl: one.kl,
    klClamp: Infinity,
    maxLength: one.max_len,
  };
  if (one.alpha) options.segmentWeights = { understanding: one.alpha[0], generation: one.alpha[1] };
  const segments = one.n_und && {
    understanding: d.mask.map((row, i) => row.map((m, t) => (t < (one.n_und as number[])[i] ? m : 0))),
    generation: d.mask.map((row, i) => row.map((m, t) => (t >= (one.n_und as number[])[i] ? m : 0))),
  };
  const [loss, gradient] = valueAndGrad(d.policy_logprobs, (logProbs) =>
    rl.policyLoss(
      {
        logProbs,
        oldLogProbs: one.onpolicy ? undefined : tf.tensor2d(d.old_logprobs),
        refLogProbs: tf.tensor2d(d.ref_logprobs),
        mask: tf.tensor2d(d.mask),
        advantages: advantages[one.adv],
        segments: segments && {
          understanding: tf.tensor2d(segments.understanding),
          generation: tf.tensor2d(segments.generation),
        },
      },
      options,
    ),
  );
  yield near(one.name, 'loss', [loss], [one.loss]);
  yield near(one.name, 'gradient', gradient, one.grad.flat());
}

function* corlCases(d: Description, corl: Corl): Generator<Check> {
  const options = { lambda: corl.lambda_, epsilon: corl.eps };
  const byReward = rl.corlAdvantages(corl, options);
  const byAdvantage = rl.corlAdvantages(corl, { ...options, join: 'advantages' });
  yield close('corl', 'advantages of the summed reward', byReward.joint, corl.advantages_unify_reward, 1e-9);
  yield close('corl', 'joined advantages', byAdvantage.joint, corl.advantages_unify_advantage, 1e-9);
  yield close('corl', 'image advantages', byReward.image, corl.advantages_t2i, 1e-9);
  yield close('corl', 'text advantages', byReward.text, corl.advantages_mm2t, 1e-9);
  for (const one of corl.cases) {
    const advantages = one.name.startsWith('separate')
      ? { text: byReward.text, image: byReward.image }
      : one.name.startsWith('unify_advantage')
        ? byAdvantage.joint
        : byReward.joint;
    const run = (text: tf.Tensor2D, image: tf.Tensor2D): rl.CorlLoss =>
      rl.corlLoss(
        {
          text: {
            ...side(d.policy_logprobs, one.onpolicy ? undefined : d.old_logprobs, d.ref_logprobs, corl.mm2t_mask),
            logProbs: text,
          },
          image: {
            ...side(
              corl.t2i_policy,
              one.onpolicy ? undefined : corl.t2i_old,
              corl.t2i_ref,
              corl.t2i_policy.map((row) => row.map(() => 1)),
            ),
            logProbs: image,
          },
          advantages,
        },
        one.beta,
        Infinity,
      );
    const image = tf.tensor2d(corl.t2i_policy);
    const text = tf.tensor2d(d.policy_logprobs);
    const [lossText, gradText] = valueAndGrad(d.policy_logprobs, (x) => run(x, image).text);
    const [lossImage, gradImage] = valueAndGrad(corl.t2i_policy, (x) => run(text, x).image);
    const [loss] = valueAndGrad(d.policy_logprobs, (x) => run(x, image).loss);
    tf.dispose([image, text]);
    const name = `corl ${one.name}`;
    yield near(name, 'loss, text and image loss', [loss, lossText, lossImage], [one.loss, one.loss_mm2t, one.loss_t2i]);
    yield near(name, 'text gradient', gradText, one.grad_mm2t.flat());
    yield near(name, 'image gradient', gradImage, one.grad_t2i.flat());
  }
}

function side(logProbs: number[][], old: number[][] | undefined, reference: number[][], mask: number[][]) {
  return {
    logProbs: tf.tensor2d(logProbs),
    oldLogProbs: old && tf.tensor2d(old),
    refLogProbs: tf.tensor2d(reference),
    mask: tf.tensor2d(mask),
  };
}

function valueAndGrad(at: number[][], f: (x: tf.Tensor2D) => tf.Scalar): [number, Float32Array] {
  const { value, grad } = tf.tidy(() => tf.valueAndGrad((x) => f(x as tf.Tensor2D))(tf.tensor2d(at)));
  const result: [number, Float32Array] = [value.dataSync()[0], grad.dataSync() as Float32Array];
  tf.dispose([value, grad]);
  return result;
}
