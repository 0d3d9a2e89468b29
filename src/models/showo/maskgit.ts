/** MaskGIT's decoding step (Chang et al. 2022; Show-o's `t2i_generate`) as pure functions on plain numbers. */

/** Share of positions that stay masked after `ratio` of the steps; all map [0, 1] onto [1, 0]. */
export type MaskSchedule = 'cosine' | 'linear' | 'pow2' | 'sqrt' | 'pow3' | 'sigmoid';

/** `linear`: tau (1 - ratio), MaskGIT's; `compound`: multiplied by (1 - ratio) at every step, as released Show-o does. */
export type TemperatureMode = 'linear' | 'compound';

/** Upstream's confidence of a position that is already known: float32's largest number. */
const KNOWN_PROBABILITY = 3.4028234663852886e38;

/** The schedule's value at `t` in [0, 1], clamped to [1e-6, 1] but for the cosine. The sigmoid runs from -3 to 3. */
export function maskRatio(schedule: MaskSchedule, t: number): number {
  if (schedule === 'cosine') return Math.cos((t * Math.PI) / 2);
  if (schedule === 'sigmoid') {
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
    return Math.min(1, Math.max(1e-6, (sigmoid(3) - sigmoid(6 * t - 3)) / (sigmoid(3) - sigmoid(-3))));
  }
  const power = { linear: 1, sqrt: 0.5, pow2: 2, pow3: 3 }[schedule];
  return Math.min(1, Math.max(1e-6, 1 - t ** power));
}

/**
 * How many positions are masked again after step `step` (0-based) of `steps`: max(1, min(unknown - 1, floor(N ratio))),
 * rounded as float32 does.
 */
export function maskCount(
  unknown: number,
  positions: number,
  step: number,
  steps: number,
  schedule: MaskSchedule = 'cosine',
): number {
  const ratio = Math.fround(maskRatio(schedule, Math.fround((step + 1) / steps)));
  return Math.max(1, Math.min(unknown - 1, Math.floor(Math.fround(positions * ratio))));
}

/** Temperature of the re-masking noise at a step. */
export function maskTemperature(
  initial: number,
  previous: number,
  step: number,
  steps: number,
  mode: TemperatureMode,
): number {
  const left = 1 - (step + 1) / steps;
  return mode === 'linear' ? initial * left : previous * left;
}

/**
 * Which positions are masked again: those whose confidence log p + temperature * noise lies strictly below the
 * `count`-th smallest. Known positions have the largest float32 as probability, so noise can hardly reach them.
 * @param probability of the chosen id at each position; ignored where `known`
 * @param noise standard Gumbel, one a position
 * @returns 1 where masked again, and the confidence
 */
export function remask(
  probability: ArrayLike<number>,
  known: ArrayLike<number | boolean>,
  count: number,
  temperature: number,
  noise: ArrayLike<number>,
): { masked: Uint8Array; confidence: Float32Array } {
  const n = probability.length;
  const confidence = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    const p = known[i] ? KNOWN_PROBABILITY : Math.max(probability[i], 1e-20);
    confidence[i] = Math.fround(Math.log(p)) + Math.fround(temperature * noise[i]);
  }
  const cut = Float32Array.from(confidence).sort()[Math.min(count, n - 1)];
  const masked = new Uint8Array(n);
  for (let i = 0; i < n; i++) masked[i] = confidence[i] < cut ? 1 : 0;
  return { masked, confidence };
}
