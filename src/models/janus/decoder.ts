/** Rows of Janus' language model on their way: prompts in at once, then one token a row and step, with the cache. */
import { tf } from '../../engine';
import { causalMask } from '../../nn/causal-mask';
import { KvCache } from '../../nn/kv-cache';
import { padLeft } from './layout';
import { featureCount, type JanusNetwork } from './network';

export class Decoder {
  private readonly cache: KvCache;
  private pads: readonly number[] = [];

  constructor(private readonly network: JanusNetwork) {
    this.cache = new KvCache(network.config.text.num_hidden_layers);
  }

  /** Tokens seen so far, padding included. */
  get length(): number {
    return this.cache.length;
  }

  /**
   * The prompts; they may differ in length, and none sees another's padding.
   * @param features for the placeholders in the prompts, in the order of the rows
   * @returns hidden states of each prompt's last token, `[rows, hidden]`
   */
  start(prompts: readonly (readonly number[])[], features?: tf.Tensor3D): tf.Tensor2D {
    const { ids, pads } = padLeft(this.network.config, prompts);
    this.pads = pads;
    const { network } = this;
    return tf.tidy(() => this.run(network.embed(network.embedInputs(ids, featureCount(features)), features)));
  }

  /** One token a row. @param embeds `[rows, 1, hidden]` @returns `[rows, hidden]` */
  next(embeds: tf.Tensor3D): tf.Tensor2D {
    return tf.tidy(() => this.run(embeds));
  }

  /** Goes on with the given rows; a row may be repeated. */
  select(rows: readonly number[]): void {
    if (rows.length === this.pads.length && rows.every((row, i) => row === i)) return;
    this.cache.select(rows);
    this.pads = rows.map((row) => this.pads[row]);
  }

  dispose(): void {
    this.cache.dispose();
  }

  private run(embeds: tf.Tensor3D): tf.Tensor2D {
    const [rows, tokens, width] = embeds.shape;
    const before = this.cache.length;
    const at = Array.from({ length: tokens }, (_, t) => before + t);
    const padded = this.pads.some((pad) => pad > 0);
    const hidden = this.network.hidden(embeds, {
      cache: this.cache,
      mask: causalMask(tokens, before + tokens, this.pads),
      positions: padded ? this.pads.map((pad) => at.map((t) => Math.max(0, t - pad))) : at,
    });
    return tf.reshape(tf.slice(hidden, [0, tokens - 1, 0], [-1, 1, -1]), [rows, width]);
  }
}

/** Equal objects once: which are different, and for each of the list the place among those. */
export function distinct<T>(list: readonly T[]): { unique: T[]; of: number[] } {
  const places = new Map<T, number>();
  const of = list.map((item) => {
    if (!places.has(item)) places.set(item, places.size);
    return places.get(item) as number;
  });
  return { unique: [...places.keys()], of };
}
