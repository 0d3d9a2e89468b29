/** Sampling text: answers to questions about an image, or to text alone. */
import { readValues, type Rng, tf } from '../../engine';
import { type Image, imagesToTensor } from '../../io';
import type { Parameters } from '../../nn/parameters';
import { checkSampling, drawToken, logProbOf, type SamplingOptions, scoringTemperature } from '../../nn/token-sampling';
import { Decoder, distinct } from './decoder';
import type { JanusModel } from './model';

/** What is to be continued: ids as `understandingIds` or `textIds` lay them out. */
export interface JanusPrefix {
  readonly ids: readonly number[];
  /** The image that the placeholders stand for, of the size that the model sees. */
  readonly image?: Image;
}

export interface AnswerOptions extends SamplingOptions {
  /** Default 32. */
  readonly maxNewTokens?: number;
  /** Ids that the answer of each prefix begins with; they are no decisions. */
  readonly forced?: readonly (readonly number[])[];
  /** Is given the logits of every step, rows of those that still go on. */
  readonly observe?: (step: number, logits: Float32Array) => void;
}

export interface JanusAnswer {
  /** The answer's ids, with the end token when it was reached. */
  readonly ids: number[];
  /** log p of each id under softmax(logits / temperature), before top-k and top-p; temperature 1 when greedy. */
  readonly logProbs: Float32Array;
  /** 1 where the id was drawn, 0 where it was forced. */
  readonly mask: Uint8Array;
  readonly finished: boolean;
}

interface Row {
  readonly ids: number[];
  readonly logProbs: number[];
  readonly mask: number[];
}

/**
 * Continues every prefix until its end token. Prefixes that are one object (a group's) are read once.
 * @param generators one a prefix; nothing is drawn from them when greedy
 * @throws RangeError for sampling options that make no sense, or an image of another size
 */
export function sampleAnswers(
  model: JanusModel,
  prefixes: readonly JanusPrefix[],
  rngs: readonly Rng[],
  options: AnswerOptions = {},
): JanusAnswer[] {
  checkSampling(options);
  if (options.temperature !== 0 && rngs.length !== prefixes.length)
    throw new RangeError(`${prefixes.length} prefixes need as many streams, got ${rngs.length}`);
  const { maxNewTokens = 32 } = options;
  const rows = prefixes.map((): Row => ({ ids: [], logProbs: [], mask: [] }));
  const decoder = new Decoder(model);
  let hidden: tf.Tensor2D | undefined;
  try {
    let live = rows.map((_, b) => b);
    hidden = startAll(model, decoder, prefixes);
    for (let step = 0; step < maxNewTokens && live.length > 0; step++) {
      const at = hidden;
      const logits = readValues(() => model.textLogits(at));
      options.observe?.(step, logits);
      live.forEach((b, i) => extend(rows[b], logits, i, live.length, rngs[b], options, options.forced?.[b]?.[step]));
      const on = live.map((_, i) => i).filter((i) => rows[live[i]].ids[step] !== model.config.tokens.eos);
      live = on.map((i) => live[i]);
      if (live.length === 0 || step === maxNewTokens - 1) break;
      decoder.select(on);
      hidden.dispose();
      hidden = tf.tidy(() => decoder.next(model.embed(live.map((b) => [rows[b].ids[step]]))));
    }
  } finally {
    hidden?.dispose();
    decoder.dispose();
  }
  return rows.map(({ ids, logProbs, mask }) => ({
    ids,
    logProbs: Float32Array.from(logProbs),
    mask: Uint8Array.from(mask),
    finished: ids[ids.length - 1] === model.config.tokens.eos,
  }));
}

/** Features of the prefixes' images, `[images, features, hidden]`, in order; undefined when there are none. */
export function prefixFeatures(
  model: JanusModel,
  prefixes: readonly JanusPrefix[],
  p: Parameters = model.parameters,
): tf.Tensor3D | undefined {
  const images = prefixes.flatMap(({ image }) => (image ? [image] : []));
  if (images.length === 0) return undefined;
  const side = model.config.vision.image_size;
  for (const { width, height } of images)
    if (width !== side || height !== side)
      throw new RangeError(`an image is ${width} x ${height}; this model sees ${side} x ${side}: resize it first`);
  const { unique, of } = distinct(images);
  return tf.tidy(() => {
    const features = model.imageFeatures(imagesToTensor(unique), p);
    return unique.length === images.length ? features : tf.gather(features, tf.tensor1d(of, 'int32'));
  });
}

function startAll(model: JanusModel, decoder: Decoder, prefixes: readonly JanusPrefix[]): tf.Tensor2D {
  const { unique, of } = distinct(prefixes);
  return tf.tidy(() => {
    const first = decoder.start(unique.map((prefix) => prefix.ids), prefixFeatures(model, unique)); // prettier-ignore
    decoder.select(of);
    return tf.gather(first, tf.tensor1d(of, 'int32'));
  });
}

function extend(
  row: Row,
  logits: Float32Array,
  index: number,
  rows: number,
  rng: Rng,
  options: SamplingOptions,
  forced: number | undefined,
): void {
  const count = logits.length / rows;
  const id = forced ?? drawToken(logits, index * count, count, options, rng);
  row.ids.push(id);
  row.mask.push(forced === undefined ? 1 : 0);
  row.logProbs.push(logProbOf(logits, index * count, count, id, scoringTemperature(options)));
}
