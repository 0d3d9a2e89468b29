/** Rows of Chameleon's language model that grow token by token. */
import { readValues, tf } from '../../engine';
import { distinct, padRight } from '../../nn/decoder';
import { FollowingStep } from '../../nn/following-step';
import { KvCache, rowsOf } from '../../nn/kv-cache';
import { llamaRotary } from '../../nn/llama';
import { scoredHidden } from '../../nn/row-inputs';
import type { ChameleonNetwork } from './network';

/** A row of a {@link Branch}: the same key from call to call. */
export interface BranchRow {
  readonly key: object;
  /** All of its tokens, oldest first; none: it has nothing to say yet, or any more. */
  readonly context: readonly number[];
}

/** What is new in all rows that are computed. */
type NewTokens = {
  /** int32 `[rows, tokens]` */
  readonly ids: tf.Tensor2D;
  /** int32 `[rows]`: places of the rows' last tokens, in the flattened batch. */
  readonly last: tf.Tensor1D;
};

/** Whose logits are asked for: those of every id, or of the image codes alone, in the order of their ids. */
export type Asked = 'ids' | 'codes';

/**
 * Rows that grow token by token, and the logits of what comes next. Rows may differ in length; one whose context begins
 * anew starts at position 0 while the others go on.
 */
export class Branch {
  private cache: KvCache | undefined;
  private rows: readonly BranchRow[] = [];
  private readonly steps: Readonly<Record<Asked, FollowingStep<NewTokens>>>;

  /** @param name of what is decoded, for the log @param room tokens that a row is going to have, about */
  constructor(
    private readonly network: ChameleonNetwork,
    name: string,
    private readonly room: number,
  ) {
    const step = (asked: Asked) =>
      new FollowingStep<NewTokens>(
        network,
        `${name}, ${asked}`,
        llamaRotary(network.config.text),
        ({ ids, last }, at) => this.logits(network.hiddenOf({ ids, ...at }), last, asked),
      );
    this.steps = { ids: step('ids'), codes: step('codes') };
  }

  /**
   * Reads what is new in the rows; those that are not named any more are dropped.
   * @returns logits of the next token, `[rows * asked]`; those of empty rows mean nothing
   */
  next(rows: readonly BranchRow[], asked: Asked = 'ids'): Float32Array {
    const { cache } = this;
    const places = rows.map(({ key }) => this.rows.findIndex((row) => row.key === key));
    if (!cache || places.includes(-1)) return this.start(rows, asked);
    cache.select(places);
    const before = places.map((place) => this.rows[place].context);
    this.rows = rows;
    rows.forEach(({ context }, b) => {
      if (context.length <= before[b].length || before[b].some((id, i) => context[i] !== id)) cache.clear(b);
    });
    const counts = cache.lengths.map((length, b) => rows[b].context.length - length);
    const tokens = Math.max(1, ...counts);
    const logits = this.steps[asked].run(cache, tokens, () => this.newTokens(cache, rows, counts));
    cache.count(counts);
    return readValues(() => cache.gathered(logits));
  }

  dispose(): void {
    for (const step of Object.values(this.steps)) step.dispose();
    this.cache?.dispose();
    this.cache = undefined;
  }

  /** Reads the rows from their beginnings; equal ones (of a group, which has one prompt) once. */
  private start(rows: readonly BranchRow[], asked: Asked): Float32Array {
    this.dispose();
    const { network } = this;
    const cache = new KvCache(network.config.text.num_hidden_layers, this.room);
    this.cache = cache;
    const { unique, of } = distinct(rows.map(({ context }) => context.join()));
    const first = unique.map((_, i) => rows[of.indexOf(i)]);
    const counts = first.map(({ context }) => context.length);
    const logits = tf.tidy(() => {
      const { ids, last } = this.newTokens(cache, first, counts);
      return this.logits(network.hiddenOf({ ids, cache, counts }), last, asked);
    });
    this.rows = rows;
    cache.select(of);
    return readValues(() => rowsOf(logits, of));
  }

  /** @param counts how many of each row's last tokens the cache does not hold yet */
  private newTokens(cache: KvCache, rows: readonly BranchRow[], counts: readonly number[]): NewTokens {
    const fresh = rows.map(({ context }, b) => context.slice(context.length - counts[b]));
    const tokens = Math.max(1, ...counts);
    // Padding stands on the right, where nobody looks; the next tokens overwrite it.
    const { ids } = padRight(cache.spread(fresh), this.network.vocabulary.pad, tokens);
    const last = cache.spread(counts).map((count, b) => b * tokens + Math.max(0, count - 1));
    return {
      ids: this.network.idsOf(ids),
      last: tf.tensor1d(last, 'int32'),
    };
  }

  private logits(hidden: tf.Tensor3D, last: tf.Tensor1D, asked: Asked): tf.Tensor2D {
    const predicting = scoredHidden(hidden, last);
    return asked === 'ids' ? this.network.logits(predicting) : this.network.imageLogits(predicting);
  }
}
