/** The next tokens of rows that a cache holds, as a step that is compiled, and repeated without its JavaScript. */
import { RepeatedStep, tf } from '../engine';
import type { KvCache } from './kv-cache';
import { type RotaryConfig, type RotaryTables, rotaryTables } from './rotary';

/** Where the tokens of a step stand. */
export interface Following {
  readonly cache: KvCache;
  /** int32 `[rows]`: tokens that each row holds already. */
  readonly lengths: tf.Tensor1D;
  readonly tables: RotaryTables;
}

/** A record of tensors. */
export type StepInputs = Readonly<Record<string, tf.Tensor>>;

export class FollowingStep<I extends StepInputs> {
  private readonly step: RepeatedStep;
  private names: readonly string[] = [];
  private cache: KvCache | undefined;
  private version = -1;

  /**
   * @param owner @param name see `runTraced`
   * @param compute what is to be known of what comes next: a function of tensors, the same at every step
   */
  constructor(
    owner: object,
    name: string,
    private readonly rotary: RotaryConfig,
    private readonly compute: (inputs: I, at: Following) => tf.Tensor2D,
  ) {
    this.step = new RepeatedStep(owner, name, (given) => this.computed(given));
  }

  /**
   * Runs a step; its tokens are not counted yet, see `KvCache.count`.
   * @param tokens that each row is given
   * @param inputs of all rows that the cache computes
   * @returns the caller's to dispose
   */
  run(cache: KvCache, tokens: number, inputs: () => I): tf.Tensor2D {
    cache.reserve(tokens);
    if (cache !== this.cache || cache.version !== this.version) this.step.forget();
    this.cache = cache;
    const given = tf.tidy(() => {
      const own = inputs();
      this.names = Object.keys(own);
      const { cos, sin, swap } = rotaryTables(cache.nextPositions(tokens), this.rotary);
      return [...Object.values(own), cache.lengthsTensor(), cos, sin, swap];
    });
    try {
      return this.step.run(given) as tf.Tensor2D;
    } finally {
      this.version = cache.version;
      tf.dispose(given);
    }
  }

  /** Nothing follows. */
  dispose(): void {
    this.step.forget();
    this.cache = undefined;
  }

  private computed(given: readonly tf.Tensor[]): tf.Tensor {
    const { cache } = this;
    if (!cache) throw new Error('a step has no cache');
    const count = this.names.length;
    const inputs = Object.fromEntries(this.names.map((name, i) => [name, given[i]])) as I;
    const [lengths, cos, sin, swap] = given.slice(count);
    return this.compute(inputs, {
      cache,
      lengths: lengths as tf.Tensor1D,
      tables: { cos, sin, swap: swap as tf.Tensor2D },
    });
  }
}
