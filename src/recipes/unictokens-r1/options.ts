/** Hyper-parameters of UniCTokens-R1 / Sync-R1 (UniCTask-GRPO = Sync-GRPO), with the paper's and the mini recipe. */
import type { ThresholdOptions } from '../../rl/dsog';
import type { UpdateOptions } from '../../rl/update';
import type { ShowoImageOptions } from '../../models/showo/sampler';
import type { ImageOptions } from '../../models/unified';
import type { ConceptStageOptions } from '../../sft/concept-tokens';

export interface DsogOptions extends ThresholdOptions {
  /** Share of the decoding steps after which candidates are looked at: T/5 in the paper. */
  readonly probeShare: number;
  /** Candidates sampled at a time. */
  readonly batch: number;
  /** At most so many candidates a group; then the best of the rest are taken. Default in the paper recipe: 4 G / TPR. */
  readonly maxCandidates: number;
}

/** Weights of the rewards (w1..w4). */
export interface RewardWeights {
  readonly tier: number;
  readonly ber: number;
  readonly der: number;
  readonly fer: number;
}

export interface SyncR1Options extends Omit<UpdateOptions, 'learningRate'> {
  /** G. */
  readonly groupSize: number;
  readonly learningRate: number;
  /** Of the concept's tokens, which learn faster than the model in the supervised stages, too. Default: `learningRate`. */
  readonly tokenLearningRate?: number;
  readonly weightDecay: number;
  /** `dr_grpo` (centerd, not divided), `grpo` or `rloo`. */
  readonly advantage: string;
  readonly images: ShowoImageOptions;
  readonly maxAnswerTokens: number;
  /** Which positions of a MaskGIT step are decisions. */
  readonly scored: NonNullable<ImageOptions['scored']>;
  readonly imageLogProbs: NonNullable<ImageOptions['imageLogProbs']>;
  /** Early selection of candidates; false: the first G are taken (ablation). */
  readonly dsog: DsogOptions | false;
  /** Which pathways are drawn from, equally often: visual instruct, text attribute (ablations leave one out). */
  readonly pathways: readonly ('via' | 'tia')[];
  /** Without it the prompt alone is drawn, and only the image is scored (ablation "w/o understanding reasoning"). */
  readonly understanding: boolean;
  /** Rewards by kind of concept. */
  readonly rewards: { readonly person: RewardWeights; readonly other: RewardWeights };
  /** Who judges a figure's likeness to the references (DER): `mini_figure`, or `mobilenet` as an ablation. */
  readonly der: 'mini_figure' | 'mobilenet';
  readonly tokens: { readonly understanding: number; readonly generation: number };
  readonly stages: Omit<ConceptStageOptions, 'seed'> & { readonly steps: number };
}

/** Weights of TIER, BER, DER, FER (UniCTokens-R1, Sec. 4): people have a face to be told by, animals and objects have not. */
const REWARDS = {
  person: { tier: 0.4, ber: 0.2, der: 0.2, fer: 0.2 },
  other: { tier: 0.4, ber: 0.3, der: 0.3, fer: 0 },
} as const;

/** As published (002, Table 4; 001, Appendix H), for a real checkpoint. */
export const SYNC_R1_PAPER: SyncR1Options = {
  groupSize: 9,
  learningRate: 1e-6,
  weightDecay: 0.01,
  advantage: 'dr_grpo',
  alpha: { understanding: 0.4, generation: 0.6 },
  aggregation: 'sum',
  surrogate: 'clip',
  epsilon: 0.2,
  epsilonHigh: 0.2,
  beta: 0.01,
  kl: 'k3',
  maxGradNorm: 1,
  images: { steps: 50, guidanceScale: 6, temperature: 1, temperatureMode: 'compound', schedule: 'cosine' },
  maxAnswerTokens: 64,
  scored: 'all',
  imageLogProbs: 'guided',
  dsog: { probeShare: 0.2, batch: 9, maxCandidates: 144, targetPassRate: 0.25, mu: 0.12, eta: 0.8, eps0: 2 },
  pathways: ['via', 'tia'],
  understanding: true,
  rewards: REWARDS,
  der: 'mini_figure',
  tokens: { understanding: 16, generation: 8 },
  stages: { steps: 150, understandingBatch: 4, generationBatch: 1, learningRate: 1e-3, initialization: 'two_stage' },
};

/**
 * For the mini model on two CPU cores. What differs from the paper, and why: the learning rate is that of a model a
 * thousand times smaller; eight decoding steps fill an 8 x 8 grid; each segment is divided by its own length, since
 * six words cannot be balanced against 512 image terms by 0.4 / 0.6 alone; only draws that stayed in the
 * image are scored (in eight steps four of five draws are masked again: they would add variance, not signal); the
 * concept's tokens learn faster than the model, which has to keep everything else; at most four batches of candidates are looked at.
 */
export const SYNC_R1_MINI: SyncR1Options = {
  ...SYNC_R1_PAPER,
  learningRate: 1e-4,
  tokenLearningRate: 3e-3,
  weightDecay: 0,
  aggregation: 'segment_mean',
  images: { steps: 8, guidanceScale: 3, temperature: 1, temperatureMode: 'linear', schedule: 'cosine' },
  maxAnswerTokens: 6,
  scored: 'unmasked',
  dsog: { probeShare: 0.2, batch: 18, maxCandidates: 36, targetPassRate: 0.25, mu: 0.12, eta: 0.8, eps0: 2 },
  tokens: { understanding: 4, generation: 2 },
  stages: { steps: 60, understandingBatch: 4, generationBatch: 6, learningRate: 1e-2, initialization: 'two_stage' },
};

/** Rewards of a concept. */
export function rewardWeights(options: SyncR1Options, kind: 'person' | 'animal' | 'object'): RewardWeights {
  return kind === 'person' ? options.rewards.person : options.rewards.other;
}
