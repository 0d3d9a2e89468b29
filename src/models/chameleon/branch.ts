/**
 * Rows that grow by one token at a time, and the logits of what comes next. Rows of different lengths stand together,
 * padded on the left; a row whose context is cleared starts anew at position 0 while the others go on.
 */
import { readValues, tf } from '../../engine';
import { KvCache } from '../../nn/kv-cache';
import type { Parameters } from '../../nn/parameters';
import type { ChameleonConfig } from './config';
import { chameleonHidden, chameleonLogits } from './transformer';

export class Branch {
  private cache: KvCache | undefined;
  /** Contexts as they are; kept for the way without a cache, and for rows' lengths. */
  private rows: number[][] = [];
  /** Tokens held, padding included. */
  private length = 0;

  /** @param cached false: every token computes its whole context again (for tests and comparisons) */
  constructor(
    private readonly config: ChameleonConfig,
    private readonly parameters: Parameters,
    private readonly cached = true,
  ) {}

  /**
   * Starts with these contexts; an empty one is a row that has nothing to say yet.
   * @returns logits of the next token, `[rows * vocab]`; those of empty rows mean nothing
   */
  start(contexts: readonly (readonly number[])[]): Float32Array {
    this.dispose();
    this.rows = contexts.map((context) => [...context]);
    this.length = Math.max(1, ...contexts.map((context) => context.length));
    if (this.cached) this.cache = new KvCache(this.config.text.num_hidden_layers);
    return this.forward(this.length);
  }

  /** One token more for every row; null clears a row's context. @returns as {@link Branch.start} */
  push(tokens: readonly (number | null)[]): Float32Array {
    this.rows = this.rows.map((row, b) => (tokens[b] === null ? [] : [...row, tokens[b]]));
    this.length++;
    return this.forward(1);
  }

  /** Goes on with some of the rows. */
  keep(indices: readonly number[]): void {
    this.rows = indices.map((i) => this.rows[i]);
    this.cache?.select(indices);
  }

  dispose(): void {
    this.cache?.dispose();
    this.cache = undefined;
  }

  /** @param fresh tokens that the cache does not hold yet */
  private forward(fresh: number): Float32Array {
    const { config, cache, rows } = this;
    // Without a cache, padding need not be kept up.
    const length = cache ? this.length : Math.max(1, ...rows.map((row) => row.length));
    const shown = cache ? fresh : length;
    const pads = rows.map((row) => length - row.length);
    const ids = rows.map((row, b) => lastOf(row, pads[b], shown, config.pad_token_id));
    const positions = pads.map((pad) => Array.from({ length: shown }, (_, i) => Math.max(0, length - shown + i - pad)));
    return readValues(() => {
      const hidden = chameleonHidden(this.parameters, config, ids, { cache, pads, positions });
      const last = tf.slice(hidden, [0, shown - 1, 0], [-1, 1, -1]);
      return chameleonLogits(this.parameters, tf.reshape<tf.Rank.R2>(last, [rows.length, -1]));
    });
  }
}

/** The last `count` of a row that stands behind `pad` tokens of padding. */
function lastOf(row: readonly number[], pad: number, count: number, filler: number): number[] {
  const length = pad + row.length;
  return Array.from({ length: count }, (_, i) => row[length - count + i - pad] ?? filler);
}
