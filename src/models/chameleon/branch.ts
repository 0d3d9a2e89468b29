/** Rows of Chameleon's language model that grow token by token. */
import { readValues, runTraced, tf } from '../../engine';
import { distinct, repeated } from '../../nn/decoder';
import { KvCache } from '../../nn/kv-cache';
import type { ChameleonNetwork } from './network';

/** A row of a {@link Branch}: the same key from call to call. */
export interface BranchRow {
  readonly key: object;
  /** All of its tokens, oldest first; none: it has nothing to say yet, or any more. */
  readonly context: readonly number[];
}

/** Whose logits are asked for: those of every id, or of the image codes alone, in the order of their ids. */
export type Asked = 'ids' | 'codes';

/**
 * Rows that grow token by token, and the logits of what comes next. Rows may differ in length; one whose context begins
 * anew starts at position 0 while the others go on.
 */
export class Branch {
  private cache: KvCache | undefined;
  private rows: readonly BranchRow[] = [];

  /** @param name of what is decoded, for the log @param room tokens that a row is going to have, about */
  constructor(
    private readonly network: ChameleonNetwork,
    private readonly name: string,
    private readonly room: number,
  ) {}

  /**
   * Reads what is new in the rows; those that are not named any more are dropped.
   * @returns logits of the next token, `[rows * asked]`; those of empty rows mean nothing
   */
  next(rows: readonly BranchRow[], asked: Asked = 'ids'): Float32Array {
    const { cache, network } = this;
    const places = rows.map(({ key }) => this.rows.findIndex((row) => row.key === key));
    if (!cache || places.includes(-1)) return this.start(rows, asked);
    cache.select(places);
    const before = places.map((place) => this.rows[place].context);
    this.rows = rows;
    rows.forEach(({ context }, b) => {
      if (context.length <= before[b].length || before[b].some((id, i) => context[i] !== id)) cache.clear(b);
    });
    const counts = cache.lengths.map((length, b) => rows[b].context.length - length);
    cache.reserve(Math.max(1, ...counts));
    const logits = runTraced(network, `${this.name}, ${asked}`, () => this.forward(cache, rows, counts, asked));
    return cache.gathered(readValues(() => logits));
  }

  dispose(): void {
    this.cache?.dispose();
    this.cache = undefined;
  }

  /** Reads the rows from their beginnings; equal ones (of a group, which has one prompt) once. */
  private start(rows: readonly BranchRow[], asked: Asked): Float32Array {
    this.dispose();
    const cache = new KvCache(this.network.config.text.num_hidden_layers, this.room);
    this.cache = cache;
    const { unique, of } = distinct(rows.map(({ context }) => context.join()));
    const first = unique.map((_, i) => rows[of.indexOf(i)]);
    const counts = first.map(({ context }) => context.length);
    const logits = readValues(() => this.forward(cache, first, counts, asked));
    this.rows = rows;
    cache.select(of);
    return repeated(logits, first.length, of);
  }

  /** @param counts how many of each row's last tokens the cache does not hold yet */
  private forward(cache: KvCache, rows: readonly BranchRow[], counts: readonly number[], asked: Asked): tf.Tensor2D {
    const { network } = this;
    const tokens = Math.max(1, ...counts);
    // Padding stands on the right, where nobody looks; the next tokens overwrite it.
    const ids = rows.map(({ context }, b) => {
      const fresh = context.slice(context.length - counts[b]);
      return [...fresh, ...new Array<number>(tokens - fresh.length).fill(network.vocabulary.pad)];
    });
    const hidden = network.hidden(cache.spread(ids), { cache, counts });
    const last = cache.spread(counts).map((count, b) => b * tokens + Math.max(0, count - 1));
    const flat = tf.reshape<tf.Rank.R2>(hidden, [-1, hidden.shape[2]]);
    const predicting = tokens === 1 ? flat : tf.gather(flat, tf.tensor1d(last, 'int32'));
    return asked === 'ids' ? network.logits(predicting) : network.imageLogits(predicting);
  }
}
