/** Random programs of tf.js operations on matrices, with the gradient of their sum. */
import * as fc from 'fast-check';
import * as engine from '../../src/engine';
import { tf } from '../../src/engine';

type Unary = (x: tf.Tensor2D, number: number) => tf.Tensor;
type Binary = (x: tf.Tensor2D, y: tf.Tensor2D) => tf.Tensor;

/** Of `[3, 4]`, to `[3, 4]`. */
const unary: Record<string, Unary> = {
  exp: (x) => tf.exp(tf.clipByValue(x, -3, 3)),
  tanh: (x) => tf.tanh(x),
  relu: (x) => tf.relu(x),
  scaled: (x, k) => tf.mul(x, k),
  shifted: (x, k) => tf.add(x, k),
  softmax: (x) => tf.softmax(x),
  logSoftmax: (x) => engine.logSoftmax(x),
  geluTanh: (x) => engine.geluTanh(x),
  transposedTwice: (x) => tf.transpose(tf.tanh(tf.transpose(x))),
  padded: (x) =>
    tf.slice(
      tf.pad(x, [
        [1, 1],
        [0, 2],
      ]),
      [1, 0],
      [3, 4],
    ),
  centered: (x) => tf.sub(x, tf.mean(x, 1, true)),
  summed: (x) => tf.add(x, tf.sum(x, 0, true)),
  rows: (x) => tf.gather(x, tf.tensor1d([2, 0, 2], 'int32')),
  halves: (x) => tf.concat(tf.split(x, 2, 1).reverse(), 1),
  reshaped: (x) => tf.reshape(tf.square(tf.reshape(x, [2, 6])), [3, 4]),
  chosen: (x) => tf.where(tf.tensor2d([1, 0, 1, 1], [1, 4], 'bool'), x, tf.mul(x, 0.1)),
  largest: (x) => tf.add(x, tf.max(x, 1, true)),
  tiled: (x) => tf.slice(tf.tile(x, [2, 1]), [2, 0], [3, 4]),
  layerNorm: (x) => engine.layerNorm(x, tf.ones([4]), tf.zeros([4])),
  recomputed: (x) => engine.checkpoint((y) => tf.tanh(tf.mul(y, y)))(x),
  counted: (x) => tf.add(x, tf.cast(tf.oneHot(tf.tensor1d([1, 3, 0], 'int32'), 4), 'float32')),
  expanded: (x) => tf.squeeze(tf.tanh(tf.expandDims(x, 1)), [1]),
  stacked: (x) => tf.unstack(tf.stack([x, tf.neg(x)]))[1],
};

/** Of two `[3, 4]`, to `[3, 4]`. */
const binary: Record<string, Binary> = {
  add: (x, y) => tf.add(x, y),
  sub: (x, y) => tf.sub(x, y),
  mul: (x, y) => tf.mul(x, y),
  maximum: (x, y) => tf.maximum(x, y),
  ratio: (x, y) => tf.div(x, tf.add(tf.abs(y), 1)),
  mixed: (x, y) => tf.matMul(tf.matMul(x, y, false, true), x),
  added: (x, y) => tf.addN([x, y, x]),
};

export type Line =
  | { readonly kind: 'unary'; readonly op: string; readonly from: number; readonly number: number }
  | { readonly kind: 'binary'; readonly op: string; readonly from: number; readonly other: number }
  | { readonly kind: 'weight'; readonly from: number };

export type Program = readonly Line[];

const index = fc.nat({ max: 50 });

/** Two to nine lines; each reads earlier ones. */
export const programs: fc.Arbitrary<Program> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('unary' as const),
      op: fc.constantFrom(...Object.keys(unary)),
      from: index,
      number: fc.integer({ min: -3, max: 3 }),
    }),
    fc.record({
      kind: fc.constant('binary' as const),
      op: fc.constantFrom(...Object.keys(binary)),
      from: index,
      other: index,
    }),
    fc.record({ kind: fc.constant('weight' as const), from: index }),
  ),
  { minLength: 2, maxLength: 9 },
);

/** @returns the last line's value, and the gradients of the sum of all lines in `x` and `w` */
export function runProgram(program: Program, x: tf.Tensor, w: tf.Variable): tf.Tensor[] {
  const forward = (at: tf.Tensor, weight: tf.Tensor2D): tf.Tensor[] => {
    const values: tf.Tensor[] = [tf.tanh(at)];
    for (const line of program) {
      const from = values[line.from % values.length] as tf.Tensor2D;
      if (line.kind === 'unary') values.push(unary[line.op](from, line.number));
      else if (line.kind === 'weight') values.push(tf.tanh(tf.matMul(from, weight)));
      else values.push(binary[line.op](from, values[line.other % values.length] as tf.Tensor2D));
    }
    return values;
  };
  const loss = (at: tf.Tensor, weight: tf.Tensor2D): tf.Scalar =>
    tf.add(tf.sum(tf.addN(forward(at, weight))), tf.sum(tf.mul(weight, 0)));
  const [inX, inW] = tf.grads((a: tf.Tensor, b: tf.Tensor) => loss(a, b as tf.Tensor2D))([x, w]);
  return [forward(x, w as tf.Tensor as tf.Tensor2D).at(-1) as tf.Tensor, inX, inW];
}
