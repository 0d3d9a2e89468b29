/** The forms in which a parameter's numbers are held: float32, bfloat16, and a table plus a product of two thin ones. */
import { embedding, linear, tf } from '../engine';
import { Bf16Storage } from '../engine/bf16-storage';
import { withGradient } from '../engine/ops/custom';
import type { Weight } from './module';

/** Float32 numbers that can learn. */
export class Float32Weight<T extends tf.Tensor = tf.Tensor> implements Weight<T> {
  readonly variables: Readonly<Record<string, tf.Variable>>;

  /** @param variable disposed with the weight */
  constructor(readonly variable: tf.Variable) {
    this.variables = { '': variable };
  }

  /** Copies a tensor, which stays the caller's. */
  static copy(tensor: tf.Tensor): Float32Weight {
    return new Float32Weight(tf.tidy(() => tf.variable(tf.clone(tensor))));
  }

  get bytes(): number {
    return 4 * this.variable.size;
  }

  value(): T {
    return this.variable as unknown as T;
  }

  product(x: tf.Tensor, bias: tf.Tensor | null): tf.Tensor {
    return linear(x, this.variable, bias);
  }

  rows(ids: tf.Tensor): tf.Tensor {
    return embedding(this.variable, ids);
  }

  dispose(): void {
    this.variable.dispose();
  }
}

/**
 * Frozen numbers in bfloat16: half the memory of float32, the same numbers to its rounding (8 bits). What a forward pass
 * needs is given out as float32 and goes with its tidy. For the reference of a policy, or the base under adapters.
 */
export class Bf16Weight<T extends tf.Tensor = tf.Tensor> implements Weight<T> {
  readonly variables = {};

  /** @param storage disposed with the weight */
  constructor(private readonly storage: Bf16Storage) {}

  /** Copies a tensor, rounded; it stays the caller's. */
  static copy(tensor: tf.Tensor): Bf16Weight {
    return new Bf16Weight(Bf16Storage.of(tensor));
  }

  get bytes(): number {
    return this.storage.bytes;
  }

  value(): T {
    return this.storage.float32() as T;
  }

  product(x: tf.Tensor, bias: tf.Tensor | null): tf.Tensor {
    const [outputs, inputs] = this.storage.shape;
    return tf.tidy(() => {
      const flat = tf.reshape<tf.Rank.R2>(x, [-1, inputs]);
      const full = () => this.storage.float32() as tf.Tensor2D;
      // The gradient asks for the weight again: as float32 it would stand there until then.
      const product = withGradient([flat], () => ({
        value: tf.tidy(() => tf.matMul(flat, full(), false, true)),
        gradient: (dy) => tf.tidy(() => tf.matMul(dy as tf.Tensor2D, full())),
      }));
      return tf.reshape(bias ? tf.add(product, bias) : product, [...x.shape.slice(0, -1), outputs]);
    });
  }

  rows(ids: tf.Tensor): tf.Tensor {
    return this.storage.rows(ids);
  }

  dispose(): void {
    this.storage.dispose();
  }
}

/**
 * `table + scale * left right`. With features of the rows on the left and a variable on the right, rows that have
 * something in common learn it together; with an adapter's two matrices it is the adapted weight as one. Saved as the
 * sum.
 */
export class SumWeight implements Weight<tf.Tensor2D> {
  readonly variables: Readonly<Record<string, tf.Variable>>;

  /**
   * @param table `[rows, width]`
   * @param left `[rows, inner]`
   * @param right `[inner, width]`
   * @param names what of the three learns beside the table, by what follows the parameter's name. Default: nothing
   */
  constructor(
    private readonly table: Weight,
    private readonly left: tf.Tensor2D,
    private readonly right: tf.Tensor2D,
    private readonly scale = 1,
    names: Readonly<Record<string, tf.Variable>> = {},
  ) {
    this.variables = { ...table.variables, ...names };
  }

  /**
   * A table whose rows share what their features have in common: `table + features shared`, with `shared` `[features,
   * width]` starting at 0 and learned under `NAME.shared`.
   * @param table disposed with the weight
   * @param features `[rows, features]`, 0 for rows that share nothing; disposed with the weight
   */
  static sharedRows(table: Weight, features: tf.Tensor2D): SumWeight {
    const width = table.value().shape[1] as number;
    const shared = tf.tidy(() => tf.variable(tf.zeros<tf.Rank.R2>([features.shape[1], width])));
    return new SumWeight(table, features, shared, 1, { '.shared': shared });
  }

  get bytes(): number {
    return this.table.bytes + 4 * (this.left.size + this.right.size);
  }

  value(): tf.Tensor2D {
    return tf.tidy(() => {
      const product = tf.matMul(this.left, this.right);
      return tf.add(this.table.value(), this.scale === 1 ? product : tf.mul(product, this.scale));
    });
  }

  product(x: tf.Tensor, bias: tf.Tensor | null): tf.Tensor {
    return tf.tidy(() => linear(x, this.value(), bias));
  }

  rows(ids: tf.Tensor): tf.Tensor {
    return tf.tidy(() => embedding(this.value(), ids));
  }

  dispose(): void {
    this.table.dispose();
    tf.dispose([this.left, this.right]);
  }
}
