/** The threshold of DSOG (= DGS): which early images are worth finishing (UniCTokens-R1, Eq. 9-10). */

/**
 * How the step is damped when it goes against the threshold's trend. Delta = TPR - PR, tau the trend:
 * - `damped_subtract` (default, ours): exponent 1 + Delta max(0, mu - eps |tau|)
 * - `damped`: exponent 1 + mu Delta / (1 + eps |tau| / mu), for comparison
 * - `literal`: exponent 1 + mu Delta - eps tau Delta, as printed; it amplifies the step when both are negative
 * - `released`: the public code's: no trend, and a fixed step of 0.005 towards T^(1 + mu Delta)
 */
export type ThresholdVersion = 'damped_subtract' | 'damped' | 'literal' | 'released';

export interface ThresholdOptions {
  /** The pass rate aimed at, TPR. Default 0.25. */
  targetPassRate?: number;
  /** Strength of a step, mu. Default 0.12. */
  mu?: number;
  /** Memory of the trend, eta. Default 0.8. */
  eta?: number;
  /** Damping of steps against the trend, eps0. Default 2. */
  eps0?: number;
  version?: ThresholdVersion;
}

/** Plain JSON: what a checkpoint keeps. */
export interface ThresholdState {
  /** T, in (0, 1). */
  readonly threshold: number;
  /** tau, the moving mean of T's changes; 0 at the start. */
  readonly trend: number;
}

export interface ThresholdStep extends ThresholdState {
  /** Delta = TPR - PR: above 0 when too few passed. */
  readonly delta: number;
  readonly exponent: number;
  /** Whether this step went against the trend (tau Delta > 0: a larger exponent lowers T). */
  readonly againstTrend: boolean;
}

const exponents: Record<ThresholdVersion, (delta: number, trend: number, mu: number, eps: number) => number> = {
  damped_subtract: (delta, trend, mu, eps) => 1 + delta * Math.max(0, mu - eps * Math.abs(trend)),
  damped: (delta, trend, mu, eps) => 1 + (mu * delta) / (1 + (eps * Math.abs(trend)) / mu),
  literal: (delta, trend, mu, eps) => 1 + mu * delta - eps * trend * delta,
  released: (delta, _trend, mu) => 1 + mu * delta,
};

const releasedStep = 0.005;

/**
 * The threshold after a group with pass rate `passRate`.
 * @throws RangeError for a pass rate outside [0, 1], an unknown version, or a starting threshold outside (0, 1)
 */
export function nextThreshold(state: ThresholdState, passRate: number, options: ThresholdOptions = {}): ThresholdStep {
  const { targetPassRate = 0.25, mu = 0.12, eta = 0.8, eps0 = 2, version = 'damped_subtract' } = options;
  if (!(passRate >= 0 && passRate <= 1)) throw new RangeError(`a pass rate must be in [0, 1], got ${passRate}`);
  if (!Object.hasOwn(exponents, version)) {
    throw new RangeError(`there is no threshold version '${version}'; there are ${Object.keys(exponents).join(', ')}`);
  }
  const { threshold, trend } = state;
  // The released version leaves (0, 1) by itself; it is let go on.
  if (version !== 'released' && !(threshold > 0 && threshold < 1)) {
    throw new RangeError(`the threshold must be in (0, 1), got ${threshold}`);
  }
  const delta = targetPassRate - passRate;
  const againstTrend = trend * delta > 0;
  const exponent = exponents[version](delta, trend, mu, againstTrend ? eps0 : 0);
  const raised = threshold ** exponent;
  const next = version === 'released' ? moveByFixedStep(threshold, raised) : keepInside(raised);
  return { threshold: next, trend: eta * trend + (1 - eta) * (next - threshold), delta, exponent, againstTrend };
}

/** A power of a number in (0, 1) stays there, but its rounding to a double need not. */
function keepInside(threshold: number): number {
  return Math.min(1 - 2 ** -53, Math.max(Number.MIN_VALUE, threshold));
}

function moveByFixedStep(threshold: number, candidate: number): number {
  const difference = candidate - threshold;
  if (!(Math.abs(difference) > releasedStep)) return threshold;
  return threshold + Math.sign(difference) * releasedStep;
}

/**
 * The first threshold: the (1 - TPR) quantile of a first batch of candidates' scores (linear between neighbors), kept
 * in [0.001, 0.999]. NaN scores are left out.
 * @throws RangeError when no score is a number
 */
export function initialThreshold(scores: readonly number[], targetPassRate = 0.25): number {
  const sorted = scores.filter((s) => !Number.isNaN(s)).sort((a, b) => a - b);
  if (sorted.length === 0) throw new RangeError('the first threshold needs at least one candidate with a score');
  const at = (1 - targetPassRate) * (sorted.length - 1);
  const below = Math.floor(at);
  const value = sorted[below] + (at - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
  return Math.min(0.999, Math.max(0.001, value));
}
