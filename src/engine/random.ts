/**
 * Seeded random generators. Nothing in UniLab draws from `Math.random`: every random number comes from a
 * `Rng`, and a stream's children (`fork`) depend only on the seed and the names on the way down, so that
 * adding a draw in one place never changes the numbers in another.
 */
import { xoroshiro128plus, xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';

/** What a stream needs to go on from exactly where it was; plain JSON. */
export interface RngState {
  readonly seed: number;
  readonly state: readonly number[];
}

/** 32-bit FNV-1a hash of a name, mixed with a parent's seed. */
function mix(seed: number, name: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < name.length; i++) {
    hash ^= name.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x7feb352d) >>> 0;
  hash ^= hash >>> 15;
  return hash | 0;
}

/** A deterministic source of random numbers (xoroshiro128+). The same seed gives the same numbers on every engine. */
export class Rng {
  readonly seed: number;
  private readonly generator: RandomGenerator;

  /**
   * @param seed any 32-bit integer; other numbers are truncated
   * @param state to go on from a saved place ({@link Rng.save})
   */
  constructor(seed: number, state?: readonly number[]) {
    if (!Number.isFinite(seed)) throw new RangeError(`a stream's seed must be a finite number, got ${seed}`);
    this.seed = seed | 0;
    this.generator = state ? xoroshiro128plusFromState(state) : xoroshiro128plus(mix(this.seed, 'unilab')); // small seeds are mixed: xoroshiro starts poorly from few set bits
  }

  /** A child stream that depends only on this stream's seed and the name, not on how much was drawn so far. */
  split(name: string | number): Rng {
    return new Rng(mix(this.seed, String(name)));
  }

  /** The stream's place, to be stored as JSON and given to {@link Rng.restore}. */
  save(): RngState {
    return { seed: this.seed, state: [...this.generator.getState()] };
  }

  /** A stream that goes on where `saved` stopped. */
  static restore(saved: RngState): Rng {
    return new Rng(saved.seed, saved.state);
  }

  /** Uniform in [0, 1), 32 bits of randomness. @param count so many draws as float32 `[count]`; default: one number */
  uniform(): number;
  uniform(count: number): Float32Array;
  uniform(count?: number): number | Float32Array {
    return this.draw(count, () => (this.generator.next() >>> 0) / 4294967296);
  }

  /** Uniform integer in [0, n). @throws RangeError unless n is a positive integer */
  int(n: number): number {
    if (!Number.isInteger(n) || n < 1) throw new RangeError(`int(n) needs a positive integer, got ${n}`);
    return Math.floor(this.uniform() * n);
  }

  /** One element, uniformly. @throws RangeError for an empty list */
  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)];
  }

  /** A shuffled copy (Fisher-Yates). */
  shuffle<T>(list: readonly T[]): T[] {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
  }

  /** Standard normal (Box-Muller, one value a draw). @param count so many draws `[count]`; default: one number */
  normal(): number;
  normal(count: number): Float32Array;
  normal(count?: number): number | Float32Array {
    return this.draw(count, () => {
      const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
      return radius * Math.cos(2 * Math.PI * this.uniform());
    });
  }

  /** Standard Gumbel, -log(-log u). @param count so many draws `[count]`; default: one number */
  gumbel(): number;
  gumbel(count: number): Float32Array;
  gumbel(count?: number): number | Float32Array {
    return this.draw(count, () => -Math.log(-Math.log(Math.max(this.uniform(), 1e-12))));
  }

  private draw(count: number | undefined, one: () => number): number | Float32Array {
    return count === undefined ? one() : new Float32Array(count).map(one);
  }
}
