/** Helps for tests of operations: seeded tensors, comparison, finite differences. */
import { strict as assert } from 'node:assert';
import { Rng, tf } from '../../src/engine';

/** Standard normal values, the same for each seed. */
export function normal(shape: number[], seed: number): tf.Tensor {
  return tf.tensor(new Rng(seed).normal(shape.reduce((a, b) => a * b, 1)), shape);
}

/** The largest `|a - b| / (1 + |b|)`; shapes must agree. */
export function distance(a: tf.Tensor, b: tf.Tensor): number {
  assert.deepEqual(a.shape, b.shape);
  const [x, y] = [a.dataSync(), b.dataSync()];
  let worst = 0;
  for (let i = 0; i < x.length; i++) {
    const apart = Math.abs(x[i] - y[i]) / (1 + Math.abs(y[i]));
    if (!(apart <= worst)) worst = apart; // NaN stays
  }
  return worst;
}

/** Fails unless `a` and `b` agree to `tolerance`. */
export function close(a: tf.Tensor, b: tf.Tensor, tolerance: number, what: string): void {
  const apart = distance(a, b);
  assert.ok(apart <= tolerance, `${what}: ${apart} apart, ${tolerance} allowed`);
}

export type Operation = (...inputs: tf.Tensor[]) => tf.Tensor;

/** Value and gradients of an operation for a fixed random weight on its outputs. */
export function valueAndGradients(op: Operation, inputs: tf.Tensor[]): { value: tf.Tensor; grads: tf.Tensor[] } {
  return tf.tidy(() => {
    const value = op(...inputs);
    const dy = normal(value.shape, 77);
    return { value, grads: tf.grads((...xs: tf.Tensor[]) => op(...xs))(inputs, dy) };
  });
}

/** Fails unless two operations agree in value and in every gradient. */
export function agree(a: Operation, b: Operation, inputs: tf.Tensor[], tolerance: number, what: string): void {
  const [one, other] = [valueAndGradients(a, inputs), valueAndGradients(b, inputs)];
  close(one.value, other.value, tolerance, `${what}: value`);
  one.grads.forEach((g, i) => close(g, other.grads[i], tolerance, `${what}: gradient ${i}`));
  tf.dispose([one.value, other.value, one.grads, other.grads]);
}

/**
 * Fails unless each gradient agrees with central differences along random directions. Float32 leaves about
 * `1e-7 / step` of noise in the difference, hence the wide default.
 */
export function checkGradients(op: Operation, inputs: tf.Tensor[], what: string, tolerance = 1e-2, step = 1e-2): void {
  const { value, grads } = valueAndGradients(op, inputs);
  const dy = normal(value.shape, 77);
  const total = (xs: tf.Tensor[]): number => {
    // summed in float64: a float32 sum would drown the difference
    const [y, w] = [tf.tidy(() => op(...xs)), dy.dataSync()];
    const sum = Array.from(y.dataSync()).reduce((acc, v, i) => acc + v * w[i], 0);
    y.dispose();
    return sum;
  };
  inputs.forEach((input, i) => {
    for (const seed of [501, 502]) {
      const direction = normal(input.shape, seed + 10 * i);
      const at = (sign: number): number => {
        const moved = tf.tidy(() => tf.add(input, tf.mul(direction, sign * step)));
        const sum = total(inputs.map((x, j) => (i === j ? moved : x)));
        moved.dispose();
        return sum;
      };
      const numeric = (at(1) - at(-1)) / (2 * step);
      const analytic = tf.tidy(() => tf.sum(tf.mul(grads[i], direction)).dataSync()[0]);
      const apart = Math.abs(numeric - analytic) / (1 + Math.abs(numeric));
      assert.ok(apart <= tolerance, `${what}: input ${i}, difference ${numeric}, gradient ${analytic}`);
      direction.dispose();
    }
  });
  tf.dispose([value, grads, dy]);
}

/** To the nearest bfloat16, of two the even one. */
export function rounded(values: Float32Array): Float32Array {
  const bits = new Uint32Array(values.slice().buffer);
  return new Float32Array(bits.map((b) => ((b + 0x7fff + ((b >>> 16) & 1)) & 0xffff0000) >>> 0).buffer);
}
