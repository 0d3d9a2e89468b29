/** Continuing captions word by word, with the keys and values of what was said kept. */
import { readValues, type Rng, tf } from '../../../engine';
import type { KeysValues } from '../bert/block';
import { bothMasks, causalPart, paddingMask, tableTensor } from '../bert/rows';
import type { WordHead } from './head';
import type { BlipTextModel } from './text';

export interface DecodingOptions {
  /** Longest caption in tokens, first token and prompt included. Default 20, as upstream, or what the model can reach. */
  readonly maxLength?: number;
  /** 0 (default) takes the likeliest token each time; else tokens are drawn from softmax(logits / temperature). */
  readonly temperature?: number;
  /** One an image; needed when the temperature is above 0. */
  readonly rngs?: readonly Rng[];
  /** Keeps keys and values instead of computing all of the row again for each token. Default true; for tests. */
  readonly cache?: boolean;
  /** Is given every step's logits, `[batch, vocab]` flat, finished rows' too. */
  readonly onStep?: (logits: Float32Array) => void;
}

/** What decodes captions. */
export interface CaptionDecoder {
  readonly bert: BlipTextModel;
  readonly cls: { readonly predictions: WordHead };
}

/**
 * @param image every layer's keys and values of the images
 * @param start first tokens of each row, all of one length
 * @param shown 1 where a token of `start` is to be seen
 * @returns rows of one length: `start`, what was said, sep where it ended, then pads
 */
export function decode(
  { bert, cls }: CaptionDecoder,
  image: readonly KeysValues[],
  start: readonly (readonly number[])[],
  shown: readonly (readonly number[])[],
  options: DecodingOptions & { readonly maxLength: number },
): number[][] {
  const { maxLength, temperature = 0, rngs, cache = true, onStep } = options;
  const { config } = bert;
  const rows = start.map((row) => [...row]);
  const masks = shown.map((row) => [...row]);
  const finished = rows.map(() => false);
  let past: KeysValues[] | undefined;
  try {
    while (rows[0].length < maxLength && finished.includes(false)) {
      const known = past?.[0].keys.shape[2] ?? 0;
      const logits = readValues(() => {
        const ids = tableTensor(rows.map((row) => row.slice(known)));
        const mask = bothMasks(causalPart(rows[0].length - known, known), paddingMask(masks));
        const next = bert.forward({ ids, mask, image, past });
        if (cache) {
          disposeAll(past);
          past = next.past;
          for (const { keys, values } of past) [keys, values].forEach((kept) => tf.keep(kept));
        }
        const last = tf.slice(next.hidden, [0, next.hidden.shape[1] - 1, 0], [-1, 1, -1]);
        return cls.predictions.forward(last);
      });
      onStep?.(logits);
      rows.forEach((row, r) => {
        const at = r * config.vocab_size;
        const own = logits.subarray(at, at + config.vocab_size);
        const id = finished[r]
          ? config.pad_token_id
          : temperature === 0
            ? likeliest(own)
            : drawn(own, temperature, rngs?.[r]);
        finished[r] ||= id === config.sep_token_id;
        row.push(id);
        masks[r].push(1);
      });
    }
  } finally {
    disposeAll(past);
  }
  return rows;
}

function disposeAll(past: readonly KeysValues[] | undefined): void {
  for (const { keys, values } of past ?? []) tf.dispose([keys, values]);
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let k = 1; k < logits.length; k++) if (logits[k] > logits[best]) best = k;
  return best;
}

function drawn(logits: Float32Array, temperature: number, rng: Rng | undefined): number {
  if (!rng) throw new RangeError('captions are drawn with a stream an image; there are too few');
  const top = logits[likeliest(logits)];
  const weights = Float64Array.from(logits, (z) => Math.exp((z - top) / temperature));
  let rest = rng.uniform() * weights.reduce((sum, w) => sum + w, 0);
  for (let k = 0; k < weights.length; k++) {
    rest -= weights[k];
    if (rest < 0) return k;
  }
  return likeliest(logits); // rounding left a crumb
}
