/** Choosing the next token from logits, on plain numbers: temperature, then top-k, then top-p, in transformers' order. */
import type { Rng } from '../engine';

export interface SamplingOptions {
  /** Logits are divided by it; 0 is greedy. Default 1. */
  readonly temperature?: number;
  /** Only the k likeliest tokens (and those as likely as the k-th) can be drawn. Default: all. */
  readonly topK?: number;
  /** Only the likeliest tokens whose probabilities together reach p (Holtzman et al. 2020). Default 1: all. */
  readonly topP?: number;
}

/** @throws RangeError naming the option, its value and what was expected */
export function checkSampling({ temperature = 1, topK, topP = 1 }: SamplingOptions): void {
  if (!(temperature >= 0 && temperature < Infinity))
    throw new RangeError(`temperature is ${temperature}, expected 0 (greedy) or above`);
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 1))
    throw new RangeError(`topK is ${topK}, expected a positive integer`);
  if (!(topP > 0 && topP <= 1)) throw new RangeError(`topP is ${topP}, expected a number above 0 and at most 1`);
}

/** Whether any token can be drawn, each as likely as the softmax has it. */
export function drawsFromAll({ temperature = 1, topK = Infinity, topP = 1 }: SamplingOptions): boolean {
  return temperature > 0 && topK === Infinity && topP >= 1;
}

/** The temperature that log-probs are taken at: greedy choices are scored by the model's own distribution. */
export function scoringTemperature({ temperature = 1 }: SamplingOptions): number {
  return temperature === 0 ? 1 : temperature;
}

/**
 * Draws a token.
 * @param logits of several rows; the row's begin at `from` and are `count`
 * @param stream gives one number a draw; none is taken when greedy
 * @returns the token's index in the row
 */
export function drawToken(
  logits: ArrayLike<number>,
  from: number,
  count: number,
  options: SamplingOptions,
  rng: Rng,
): number {
  if (options.temperature === 0) return likeliest(logits, from, count);
  const weights = weightsOf(logits, from, count, options);
  let rest = rng.uniform() * sumOf(weights);
  let last = 0;
  for (let k = 0; k < count; k++) {
    if (weights[k] === 0) continue;
    last = k;
    rest -= weights[k];
    if (rest < 0) return k;
  }
  return last; // rounding left a sum just below the draw: the last token that can occur
}

/** A loop: `reduce` takes ten times as long, and this is done for every token. */
function sumOf(values: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < values.length; k++) sum += values[k];
  return sum;
}

/** The first of the largest. */
export function likeliest(logits: ArrayLike<number>, from: number, count: number): number {
  let best = 0;
  for (let k = 1; k < count; k++) if (logits[from + k] > logits[from + best]) best = k;
  return best;
}

/**
 * The tokens of a row that top-k and top-p leave to be drawn, in ascending order; undefined where they leave all. What
 * is drawn from these alone has probabilities that sum to 1 over these alone.
 */
export function keptTokens(
  logits: ArrayLike<number>,
  from: number,
  count: number,
  options: SamplingOptions,
): Int32Array | undefined {
  const { temperature, topK = count, topP = 1 } = options;
  if (temperature === 0 || (topK >= count && topP >= 1)) return undefined;
  const weights = weightsOf(logits, from, count, options);
  return Int32Array.from(weights.keys()).filter((k) => weights[k] > 0);
}

/**
 * log softmax(logits / temperature) at one index of a row.
 * @param kept the softmax is over these tokens alone, see {@link keptTokens}
 */
export function logProbOf(
  logits: ArrayLike<number>,
  from: number,
  count: number,
  index: number,
  temperature = 1,
  kept?: ArrayLike<number>,
): number {
  const size = kept?.length ?? count;
  const at = (k: number) => logits[from + (kept ? kept[k] : k)];
  let top = -Infinity;
  for (let k = 0; k < size; k++) top = Math.max(top, at(k));
  let sum = 0;
  for (let k = 0; k < size; k++) sum += Math.exp((at(k) - top) / temperature);
  return (logits[from + index] - top) / temperature - Math.log(sum);
}

/** exp(logits / temperature), the likeliest at 1; 0 for what top-k or top-p leaves out. */
function weightsOf(
  logits: ArrayLike<number>,
  from: number,
  count: number,
  { temperature = 1, topK, topP }: SamplingOptions,
): Float64Array {
  let top = -Infinity;
  for (let k = 0; k < count; k++) top = Math.max(top, logits[from + k]);
  const weights = new Float64Array(count);
  for (let k = 0; k < count; k++) weights[k] = Math.exp((logits[from + k] - top) / temperature);
  if (topK !== undefined && topK < count) keepTopK(weights, topK);
  if (topP !== undefined && topP < 1) keepTopP(weights, topP);
  return weights;
}

function keepTopK(weights: Float64Array, k: number): void {
  const cut = Float64Array.from(weights).sort()[weights.length - k];
  for (let i = 0; i < weights.length; i++) if (weights[i] < cut) weights[i] = 0;
}

function keepTopP(weights: Float64Array, p: number): void {
  const possible = Array.from(weights.keys()).filter((i) => weights[i] > 0);
  const order = possible.sort((a, b) => weights[a] - weights[b]);
  const total = order.reduce((sum, i) => sum + weights[i], 0);
  let below = 0;
  // Dropped from the unlikeliest on, as long as all up to it sum to at most 1 - p; the likeliest always stays.
  for (const i of order.slice(0, -1)) {
    below += weights[i];
    if (below > (1 - p) * total) return;
    weights[i] = 0;
  }
}
