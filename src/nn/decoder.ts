/** Rows of a language model on their way: prompts in at once, then one token a row and step, with a cache. */
import { tf } from '../engine';
import { type Following, FollowingStep, type StepInputs } from './following-step';
import { KvCache, rowsOf } from './kv-cache';
import type { RotaryConfig } from './rotary';

export interface DecoderOptions<I extends StepInputs> {
  /** What the compiled steps live and go with: the network. */
  readonly owner: object;
  /** Of what is decoded, for the log. */
  readonly name: string;
  readonly layers: number;
  /** Tokens that a row may have, its prompt included. */
  readonly room: number;
  /** Rows that ended are computed on to the end: for few tokens, and one shape. Default: see `KvCache.select`. */
  readonly keepsRows?: boolean;
  /** Logits of what comes next, `[rows, classes]`, of hidden states `[rows, hidden]`. */
  readonly head: (hidden: tf.Tensor2D) => tf.Tensor2D;
  readonly rotary: RotaryConfig;
  /** Tokens of all rows that are computed, `[rows][1]`, as tensors. */
  readonly inputs: (rows: readonly (readonly number[])[]) => I;
  /** Hidden states of such tokens, `[rows, 1, hidden]`: a function of tensors. */
  readonly read: (inputs: I, at: Following) => tf.Tensor3D;
}

export class Decoder<I extends StepInputs> {
  private readonly cache: KvCache;
  private readonly step: FollowingStep<I>;

  constructor(private readonly options: DecoderOptions<I>) {
    const { owner, name, layers, room, rotary, head, read, keepsRows } = options;
    this.cache = new KvCache(layers, room, keepsRows);
    this.step = new FollowingStep<I>(owner, name, rotary, (inputs, at) => {
      const hidden = read(inputs, at);
      return head(tf.reshape<tf.Rank.R2>(hidden, [hidden.shape[0], -1]));
    });
  }

  /**
   * The prompts, which may differ in length: they are padded on the right, where nobody looks.
   * @param counts tokens of each prompt
   * @param of the prompt that each row goes on from: those that share one cost its reading once
   * @param read hidden states of the prompts, `[prompts, tokens, hidden]`
   * @returns logits of what follows, `[rows, classes]`, the caller's to dispose
   */
  start(counts: readonly number[], of: readonly number[], read: (cache: KvCache) => tf.Tensor3D): tf.Tensor2D {
    const { cache, options } = this;
    const logits = tf.tidy(() => {
      const hidden = read(cache);
      const [, tokens, width] = hidden.shape;
      const last = counts.map((count, b) => b * tokens + count - 1);
      return options.head(tf.gather(tf.reshape<tf.Rank.R2>(hidden, [-1, width]), tf.tensor1d(last, 'int32')));
    });
    cache.select(of);
    return rowsOf(logits, of);
  }

  /** One token a row. @returns logits of what follows, `[rows, classes]`, the caller's to dispose */
  next(tokens: readonly number[]): tf.Tensor2D {
    const { cache, options, step } = this;
    const rows = cache.spread(tokens.map((token) => [token]));
    const logits = step.run(cache, 1, () => options.inputs(rows));
    cache.count(tokens.map(() => 1));
    return cache.gathered(logits);
  }

  /** Goes on with the given rows. */
  select(rows: readonly number[]): void {
    this.cache.select(rows);
  }

  dispose(): void {
    this.step.dispose();
    this.cache.dispose();
  }
}

/** Rows of one length, padded on the right, and how many tokens of each are its own. */
export function padRight(
  rows: readonly (readonly number[])[],
  pad: number,
  length = Math.max(...rows.map((row) => row.length)),
): { ids: number[][]; counts: number[] } {
  const counts = rows.map((row) => row.length);
  return { ids: rows.map((row) => [...row, ...new Array<number>(length - row.length).fill(pad)]), counts };
}

/**
 * Equal items once: which are different, and for each of the list the place among those.
 * @param keyOf what equal items have in common; default: they are one and the same
 */
export function distinct<T>(list: readonly T[], keyOf: (item: T) => unknown = (item) => item) {
  const places = new Map<unknown, number>();
  const unique: T[] = [];
  const of = list.map((item) => {
    const key = keyOf(item);
    const place = places.get(key) ?? unique.push(item) - 1;
    places.set(key, place);
    return place;
  });
  return { unique, of };
}
