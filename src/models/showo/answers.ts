/** Sampling text: answers to questions about an image, or to text alone. */
import { logSoftmax, readValues, type Rng, tf } from '../../engine';
import { IGNORE, understandingEoi } from './layout';
import { drawIndex } from './maskgit';
import { causalMask, understandingMask } from './masks';
import type { ShowoModel } from './model';
import { showoLogits, showoLogitsRange } from './transformer';

export interface AnswerOptions {
  /** Default 8. */
  readonly maxNewTokens?: number;
  /** 0 is greedy. Default 1. */
  readonly temperature?: number;
  /** `text`: only text ids can be said (default); `all`: the whole vocabulary, as upstream samples. */
  readonly vocabulary?: 'text' | 'all';
}

export interface Answer {
  /** The answer's ids, with eot when it was reached. */
  readonly ids: number[];
  /** log p of each id under the distribution at temperature 1. */
  readonly logProbs: Float32Array;
  readonly finished: boolean;
}

/** A row of text to be continued; `image` says that it starts with an image (understanding layout). */
export interface AnswerPrefix {
  readonly ids: readonly number[];
  readonly image: boolean;
}

/** Continues every prefix. @param generators one a prefix; not used when greedy */
export function sampleAnswers(
  model: ShowoModel,
  prefixes: readonly AnswerPrefix[],
  rngs: readonly Rng[],
  options: AnswerOptions = {},
): Answer[] {
  const { maxNewTokens = 8, temperature = 1, vocabulary = 'text' } = options;
  const rows = prefixes.map((prefix) => [...prefix.ids]);
  const logProbs: number[][] = prefixes.map(() => []);
  const finished = prefixes.map(() => false);
  for (let step = 0; step < maxNewTokens && finished.includes(false); step++) {
    const live = rows.map((_, b) => b).filter((b) => !finished[b]);
    const growing = live.map((b) => ({ ids: rows[b], image: prefixes[b].image }));
    const ends = live.map((b) => [rows[b].length - 1]);
    const values = readValues(() => logSoftmax(answerLogits(model, growing, ends, vocabulary)));
    const width = values.length / live.length;
    live.forEach((b, i) => {
      const id =
        temperature === 0
          ? argmax(values, i * width, width)
          : drawTempered(values, i * width, width, temperature, rngs[b].uniform());
      rows[b].push(id);
      logProbs[b].push(values[i * width + id]);
      finished[b] = id === model.vocabulary.eot;
    });
  }
  return rows.map((row, b) => ({
    ids: row.slice(prefixes[b].ids.length),
    logProbs: Float32Array.from(logProbs[b]),
    finished: finished[b],
  }));
}

/**
 * Logits that predict what follows the given positions, `[all positions, text ids]`, rows in order.
 * Rows may differ in length: they are padded on the right, where causal attention cannot see.
 */
export function answerLogits(
  model: ShowoModel,
  rows: readonly AnswerPrefix[],
  positions: readonly (readonly number[])[],
  vocabulary: 'text' | 'all' = 'text',
  parameters = model.parameters,
  extra = model.extra,
): tf.Tensor2D {
  return tf.tidy(() => {
    const length = Math.max(...rows.map((row) => row.ids.length));
    const padded = rows.map((row) => [
      ...row.ids,
      ...new Array<number>(length - row.ids.length).fill(model.vocabulary.pad),
    ]);
    const masks = rows.map((row) =>
      row.image ? understandingMask(length, understandingEoi(model.config)) : causalMask(length),
    );
    const hidden = model.hidden(padded, masks, parameters, extra);
    const flat = tf.reshape<tf.Rank.R2>(hidden, [-1, model.config.hidden_size]);
    const at = Int32Array.from(positions.flatMap((list, b) => list.map((position) => b * length + position)));
    const picked = tf.gather(flat, tf.tensor1d(at, 'int32'));
    return vocabulary === 'all'
      ? showoLogits(parameters, picked, extra)
      : showoLogitsRange(parameters, picked, 0, model.config.llm_vocab_size);
  });
}

/** Positions whose next token is scored, and the tokens, of labels as the layouts write them (shifted by one). */
export function scoredPositions(labels: readonly number[]): { positions: number[]; targets: number[] } {
  const positions: number[] = [];
  const targets: number[] = [];
  labels.forEach((label, i) => {
    if (label === IGNORE || i === 0) return;
    positions.push(i - 1);
    targets.push(label);
  });
  return { positions, targets };
}

function argmax(values: Float32Array, from: number, count: number): number {
  let best = 0;
  for (let k = 1; k < count; k++) if (values[from + k] > values[from + best]) best = k;
  return best;
}

function drawTempered(logProbs: Float32Array, from: number, count: number, temperature: number, u: number): number {
  if (temperature === 1) return drawIndex(logProbs, from, count, u);
  const scaled = new Float64Array(count);
  let top = -Infinity;
  for (let k = 0; k < count; k++) top = Math.max(top, (scaled[k] = logProbs[from + k] / temperature));
  let sum = 0;
  for (let k = 0; k < count; k++) sum += Math.exp(scaled[k] - top);
  const norm = top + Math.log(sum);
  return drawIndex(scaled.map((x) => x - norm), 0, count, u); // prettier-ignore
}
