/** UniLab's half of a whole GRPO step: rollout, rewards, advantages, update, by the same calls as the recipe. */
import { AdamW, Rng, tf } from '../src/engine';
import { imagesToTensor } from '../src/io';
import { resolveOptions } from '../src/io/options';
import { imageGrid } from '../src/models/showo/config';
import type { ShowoModel } from '../src/models/showo/model';
import type { ImageTransition } from '../src/models/showo/policy';
import { ShowoImageSampler } from '../src/models/showo/sampler';
import { MiniClip } from '../src/models/scorers/mini-clip';
import type { Trajectory } from '../src/models/unified';
import { syncGrpoMini, syncGrpoOptions } from '../src/recipes/sync-grpo';
import { berReward, type Reward, scoreTrajectories, weightedSum } from '../src/rewards';
import { groupAdvantages, trainStep } from '../src/rl';

/** The mini recipe's, with the paper's KL penalty, so that a reference is part of the work. Sizes of the rollout are the benchmark's own. */
export const BENCH_GRPO = resolveOptions(syncGrpoOptions, syncGrpoMini, { beta: 0.01 });

/** One recorded transition as plain arrays, with the old log-probs that the check's ratios are made of. */
export interface RecordedPiece {
  readonly condition: readonly number[];
  readonly before: readonly number[];
  readonly ids: readonly number[];
  readonly old: readonly number[];
  readonly mask: readonly number[];
}

/** What both sides must agree on: of the recorded group, its mean reward, and loss and gradient norm of one update. */
export interface GrpoCheck {
  readonly reward: number;
  readonly loss: number;
  readonly gradNorm: number;
}

/** Spread of the old log-probs around the recorded ones: ratios leave [1 - epsilon, 1 + epsilon], so that the clip acts. */
const OLD_SPREAD = 0.15;

/** A sampled group for the check. @param rng moves the old log-probs away from the policy's own */
export function recordGroup(images: readonly (readonly ImageTransition[])[], rng: Rng): RecordedPiece[][] {
  return images.map((transitions, i) =>
    transitions.map(({ condition, inputIds, sampledIds, logProbs, actionMask }, t) => {
      const moved = rng.split(`${i} ${t}`).normal(logProbs.length);
      const old = Array.from(logProbs, (logProb, at) => (actionMask[at] ? logProb + OLD_SPREAD * moved[at] : 0));
      return { condition, before: [...inputIds], ids: [...sampledIds], old, mask: [...actionMask] };
    }),
  );
}

export interface GrpoSetup {
  /** Learns; used for nothing else, so that the other works keep their weights. */
  readonly model: ShowoModel;
  readonly reference: ShowoModel;
  /** Prompts of the group's images, as ids: in the recipe each image has a compound prompt of its own. */
  readonly captions: readonly (readonly number[])[];
  readonly steps: number;
  readonly guidanceScale: number;
  readonly recorded: readonly (readonly RecordedPiece[])[];
}

export class GrpoBench {
  private readonly optimizer = newOptimizer();
  private readonly reward: Reward;
  private steps = 0;

  private constructor(
    private readonly setup: GrpoSetup,
    clip: MiniClip,
  ) {
    const cosine = (images: Parameters<typeof imagesToTensor>[0], texts: readonly string[]) =>
      Promise.resolve(tf.tidy(() => clip.similarity(imagesToTensor(images), texts)));
    this.reward = berReward({ name: 'mini_clip', cosine });
  }

  static async load(setup: GrpoSetup): Promise<GrpoBench> {
    return new GrpoBench(setup, await MiniClip.load());
  }

  /** One step. @returns its loss */
  async step(): Promise<number> {
    const { model, reference, captions, steps, guidanceScale } = this.setup;
    const rng = new Rng(this.steps++);
    const requests = captions.map((condition, i) => ({ condition, draws: rng.split(i) }));
    const options = { ...BENCH_GRPO.image, steps, guidanceScale };
    const images = ShowoImageSampler.start(model.network, requests, options).finish();
    const group = images.map((image) => ({ segments: [image] }));
    const advantages = groupAdvantages('dr_grpo', [await this.score(group)]).advantages;
    return (await trainStep(model, reference, group, advantages, this.optimizer, BENCH_GRPO)).loss;
  }

  /** Of the recorded group; no weight is changed. */
  async check(): Promise<GrpoCheck> {
    const { model, reference } = this.setup;
    const group = this.setup.recorded.map((pieces) => this.trajectoryOf(pieces));
    const rewards = await this.score(group);
    const { advantages } = groupAdvantages('dr_grpo', [rewards]);
    // The old log-probs were moved on purpose: the ratios of this update are not 1.
    const selfChecks = { ...BENCH_GRPO.selfChecks, ratio: false };
    const options = { ...BENCH_GRPO, oldLogProbs: 'sampled' as const, learningRate: 0, selfChecks };
    const optimizer = newOptimizer();
    try {
      const { loss, grad_norm: gradNorm } = await trainStep(model, reference, group, advantages, optimizer, options);
      return { reward: rewards.reduce((a, b) => a + b, 0) / rewards.length, loss, gradNorm };
    } finally {
      optimizer.dispose();
    }
  }

  /** @throws Error when a reward could not be computed: its time would mean nothing */
  private async score(group: readonly Trajectory[]): Promise<number[]> {
    const { model, captions } = this.setup;
    const sampled = group.map((trajectory, i) => {
      const prompt = model.tokenizer.decode(captions[i]);
      return { example: { prompt, references: [], truth: undefined }, trajectory };
    });
    const rewards = [{ reward: this.reward, weight: 1 }];
    const scores = await scoreTrajectories(model.imageTokenizer, sampled, (seen) => weightedSum(rewards, seen));
    return scores.map(({ value, reason }) => {
      if (!Number.isFinite(value)) throw new Error(`a reward is ${value}: ${reason ?? 'no reason is given'}`);
      return value;
    });
  }

  private trajectoryOf(pieces: readonly RecordedPiece[]): Trajectory<ImageTransition> {
    const { guidanceScale, model } = this.setup;
    const transitions = pieces.map(({ condition, before, ids, old, mask }): ImageTransition => ({
      segment: 'generation',
      condition,
      inputIds: Int32Array.from(before),
      sampledIds: Int32Array.from(ids),
      guidanceScale,
      imageLogProbs: BENCH_GRPO.image.imageLogProbs,
      logProbs: Float32Array.from(old),
      actionMask: Uint8Array.from(mask),
    }));
    const codes = transitions[transitions.length - 1].sampledIds;
    return { segments: [{ name: 'generation', codes, grid: imageGrid(model.config), transitions }] };
  }
}

/** As the recipe has it. */
function newOptimizer(): AdamW {
  return new AdamW({ learningRate: BENCH_GRPO.learningRate, weightDecay: BENCH_GRPO.weightDecay });
}
