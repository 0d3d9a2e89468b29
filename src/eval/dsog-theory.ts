/**
 * What early selection does to the policy gradient (Sync-R1, Theorem 3.1 and Corollary 3.2), in closed form and simulated.
 * The reward R and the early score S are bivariate normal with correlation rho; the share p of candidates with the
 * largest S is kept.
 */
import type { Rng } from '../engine';

/** exp(-x^2 / 2) / sqrt(2 pi). */
const density = (x: number): number => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

/** P(Z > x), to 1.2e-7: Chebyshev fit of Numerical Recipes, Sec. 6.2. */
function upperTail(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + 0.5 * z);
  const fit = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277,
  ];
  const series = fit.reduceRight((sum, coefficient) => sum * t + coefficient, 0);
  const tail = 0.5 * t * Math.exp(-z * z + series);
  return x >= 0 ? tail : 1 - tail;
}

/**
 * z with P(Z > z) = p.
 * @throws RangeError for a share outside (0, 1)
 */
export function upperQuantile(share: number): number {
  if (!(share > 0 && share < 1)) throw new RangeError(`a share must be in (0, 1), got ${share}`);
  let [low, high] = [-9, 9];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (upperTail(middle) > share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Mean (inverse Mills ratio) and variance of the upper share p of a standard normal: 1.271 and 0.242 at p = 0.25. */
export function truncatedNormal(share: number): { mean: number; variance: number } {
  const z = upperQuantile(share);
  const mean = density(z) / share;
  return { mean, variance: 1 - mean * (mean - z) };
}

/** Var(R | S > T) / Var(R) = 1 - rho^2 (1 - v(p)), v the truncated variance (Theorem 3.1). */
export function varianceFactor(rho: number, share: number): number {
  return 1 - rho * rho * (1 - truncatedNormal(share).variance);
}

export interface SelectionSimulation {
  /** Correlation of early score and reward. */
  readonly rho: number;
  /** p, the share of candidates that is kept; 1 keeps all. */
  readonly share: number;
  /** G. Default 9. */
  readonly groupSize?: number;
  /** Default 4000. */
  readonly groups?: number;
  /** Correlation of the reward with the direction of the gradient. Default 0.3. */
  readonly slope?: number;
  readonly rng: Rng;
}

export interface SelectionOutcome {
  /** Var(R) of what was kept; 1 without selection. */
  readonly rewardVariance: number;
  /** Mean gradient with the group's mean taken off, as Dr.GRPO does; `slope` without selection. */
  readonly signal: number;
  /** Its variance over groups. */
  readonly noise: number;
  /** signal^2 / noise. */
  readonly snr: number;
  /** The same without taking the group's mean off: what Corollary 3.2 speaks of. */
  readonly rawSnr: number;
}

/**
 * Groups of G candidates that passed. A trajectory's derivative of its log-probability is g ~ N(0, 1), its reward R =
 * slope g + noise, its early score S = rho R + noise. A group's gradient is the mean of g A.
 */
export function simulateSelection(options: SelectionSimulation): SelectionOutcome {
  const { rho, share, groupSize = 9, groups = 4000, slope = 0.3, rng } = options;
  const threshold = share < 1 ? upperQuantile(share) : -Infinity;
  const gradients: number[] = [];
  const raw: number[] = [];
  const rewards: number[] = [];
  for (let group = 0; group < groups; group++) {
    const kept: { g: number; reward: number }[] = [];
    while (kept.length < groupSize) {
      const [g, e, f] = rng.normal(3);
      const reward = slope * g + Math.sqrt(1 - slope * slope) * e;
      if (rho * reward + Math.sqrt(1 - rho * rho) * f > threshold) kept.push({ g, reward });
    }
    const mean = kept.reduce((sum, { reward }) => sum + reward, 0) / groupSize;
    gradients.push(kept.reduce((sum, { g, reward }) => sum + g * (reward - mean), 0) / (groupSize - 1));
    raw.push(kept.reduce((sum, { g, reward }) => sum + g * reward, 0) / groupSize);
    rewards.push(...kept.map(({ reward }) => reward));
  }
  const [centered, plain] = [momentsOf(gradients), momentsOf(raw)];
  return {
    rewardVariance: momentsOf(rewards).variance,
    signal: centered.mean,
    noise: centered.variance,
    snr: centered.mean ** 2 / centered.variance,
    rawSnr: plain.mean ** 2 / plain.variance,
  };
}

function momentsOf(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1) };
}
