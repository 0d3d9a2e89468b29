/**
 * Keys and values of the tokens that a decoder has seen, so that the next token costs one row and not the whole
 * sequence again. One cache belongs to one batch of rows of equal length; rows that are done can be dropped.
 */
import { tf } from '../engine';

interface Held {
  readonly keys: tf.Tensor4D;
  readonly values: tf.Tensor4D;
}

export class KvCache {
  private readonly held: (Held | undefined)[];

  /** @param layers number of decoder layers */
  constructor(layers: number) {
    this.held = new Array<Held | undefined>(layers).fill(undefined);
  }

  /** Tokens held; while a forward pass is under way, those of the layers that it has not reached yet. */
  get length(): number {
    return this.held[this.held.length - 1]?.keys.shape[2] ?? 0;
  }

  /** Rows held; undefined before the first tokens. */
  get batch(): number | undefined {
    return this.held[0]?.keys.shape[0];
  }

  /** Bytes of the held tensors. */
  get bytes(): number {
    return this.held.reduce((sum, layer) => sum + (layer ? 4 * (layer.keys.size + layer.values.size) : 0), 0);
  }

  /**
   * Adds the tokens of one forward pass to one layer.
   * @param keys `[batch, keyValueHeads, tokens, headDim]`, positions already applied; `values` alike
   * @returns everything that the layer holds now, the cache's own: not to be disposed
   * @throws RangeError when rows, heads or dimensions differ from what is held
   */
  append(layer: number, keys: tf.Tensor4D, values: tf.Tensor4D): Held {
    const before = this.held[layer];
    if (before) {
      const [batch, heads, , dim] = before.keys.shape;
      if (keys.shape[0] !== batch || keys.shape[1] !== heads || keys.shape[3] !== dim) {
        throw new RangeError(
          `the cache's layer ${layer} holds keys [${before.keys.shape}]; [${keys.shape}] cannot be appended along axis 2`,
        );
      }
    }
    const after: Held = before
      ? { keys: tf.concat([before.keys, keys], 2), values: tf.concat([before.values, values], 2) }
      : { keys: tf.clone(keys), values: tf.clone(values) };
    tf.keep(after.keys);
    tf.keep(after.values);
    release(before);
    this.held[layer] = after;
    return after;
  }

  /** Keeps the given rows, in the given order; a row may be repeated (one prompt, many samples). */
  select(rows: readonly number[]): void {
    const at = tf.tensor1d(Int32Array.from(rows), 'int32');
    this.held.forEach((layer, i) => {
      if (!layer) return;
      this.held[i] = { keys: tf.keep(tf.gather(layer.keys, at)), values: tf.keep(tf.gather(layer.values, at)) };
      release(layer);
    });
    at.dispose();
  }

  dispose(): void {
    this.held.forEach(release);
    this.held.fill(undefined);
  }
}

function release(layer: Held | undefined): void {
  layer?.keys.dispose();
  layer?.values.dispose();
}
