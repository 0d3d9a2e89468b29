/** Linear maps and embeddings. */
import * as tf from '@tensorflow/tfjs';
import { withGradient } from './custom';
import { bool, hasOwnKernel, kernel, kernels, sumRows } from './kernel';

/** A product of two matrices whose sums begin with the bias: no pass over the result adds it. */
const OWN_LINEAR = 'UnilabLinear';
const OWN_PRODUCT = 'UnilabProduct';

let usesOwnLinear = false;

/** From now on, linear maps with a bias are an operation of our own on the `tensorflow` backend, where there is such a kernel. */
export function useOwnLinear(): void {
  if (usesOwnLinear || !hasOwnKernel(`${OWN_LINEAR}Grad`)) return;
  usesOwnLinear = true;
  tf.registerKernel({
    kernelName: OWN_LINEAR,
    backendName: 'tensorflow',
    kernelFunc: ({ inputs: { x, weight, bias } }) => kernel(OWN_LINEAR, [], [x, weight, bias] as tf.Tensor[]),
  });
  // Registered, not a custom gradient: each part is computed only where it is asked for, none of a frozen weight's.
  tf.registerGradient({
    kernelName: OWN_LINEAR,
    inputsToSave: ['x', 'weight'],
    gradFunc: (dy, [x, weight]) => {
      const slope = dy as tf.Tensor;
      let ofBias: tf.Tensor | undefined;
      return {
        x: () => kernel(OWN_PRODUCT, [bool('adj_x', false), bool('adj_y', false)], [slope, weight]),
        weight: () => {
          // In one pass over dy. Where the bias is frozen, its gradient goes with what is around.
          const [ofWeight, sums] = kernels(`${OWN_LINEAR}Grad`, [], [slope, x], 2);
          if (passOn(sums)) ofBias = sums;
          return ofWeight;
        },
        bias: () => ofBias ?? sumRows(slope), // TensorFlow's sum over rows takes two to four times as long
      };
    },
  });
}

interface Scope {
  readonly id: number;
  readonly track: tf.Tensor[];
}

/** A tensor that was made in a tidy stays as long as what is around that tidy. @returns false: nothing is around it */
function passOn(tensor: tf.Tensor): boolean {
  const { scopeStack } = tf.engine().state as unknown as { readonly scopeStack: readonly Scope[] };
  const [around, own] = scopeStack.slice(-2);
  const at = own?.track.indexOf(tensor) ?? -1;
  if (at < 0) return false;
  own.track.splice(at, 1);
  around.track.push(tensor);
  (tensor as { scopeId: number }).scopeId = around.id;
  return true;
}

const isOwn = (x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor | null | undefined): bias is tf.Tensor =>
  usesOwnLinear &&
  hasOwnKernel(`${OWN_LINEAR}Grad`) &&
  [x, weight, bias].every((t) => t?.dtype === 'float32' && t.size > 0);

export interface LinearOptions {
  /** True: the weight lies as `[in, out]`. Default false: `[out, in]`, as PyTorch stores it. */
  readonly transposed?: boolean;
}

/**
 * `x W^T + b`. Measured on TensorFlow: `[out, in]` is as fast as `[in, out]`, forward and backward.
 * @param x `[..., in]`
 * @param weight `[out, in]`, or `[in, out]` with `transposed`
 * @param bias `[out]`, or nothing
 * @returns `[..., out]`
 * @throws RangeError when shapes do not fit
 */
export function linear(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias?: tf.Tensor | null,
  { transposed = false }: LinearOptions = {},
): tf.Tensor {
  const size = x.shape[x.rank - 1];
  const [rows, columns] = weight.shape as number[];
  const [inputs, outputs] = transposed ? [rows, columns] : [columns, rows];
  if (weight.rank !== 2 || size !== inputs) {
    const layout = transposed ? '[in, out]' : '[out, in]';
    throw new RangeError(`linear: x [${x.shape}] does not fit the weight [${weight.shape}], read as ${layout}`);
  }
  // Composed from operations with gradients of their own, so that a frozen weight costs no gradient.
  return tf.tidy(() => {
    if (!transposed && isOwn(x, weight, bias)) return tf.engine().runKernel<tf.Tensor>(OWN_LINEAR, { x, weight, bias });
    const flat = tf.reshape(x, [-1, size]);
    const product = tf.matMul(flat, weight, false, !transposed);
    return tf.reshape(bias ? tf.add(product, bias) : product, [...x.shape.slice(0, -1), outputs]);
  });
}

/**
 * Rows of a table. The table's gradient is one segment sum.
 * @param table `[vocab, dim]`
 * @param ids `[...]` int32, each in 0 .. vocab - 1
 * @returns `[..., dim]`
 * @throws TypeError for ids that are not int32
 */
export function embedding(table: tf.Tensor, ids: tf.Tensor): tf.Tensor {
  if (ids.dtype !== 'int32') throw new TypeError(`embedding: the ids must be int32, not ${ids.dtype}`);
  const [vocab, dim] = table.shape;
  return withGradient([table], (save) => {
    const flat = tf.reshape(ids, [ids.size]);
    save([flat]);
    return {
      value: tf.reshape(tf.gather(table, flat), [...ids.shape, dim]),
      gradient: (dy, [at]) => tf.unsortedSegmentSum(tf.reshape(dy, [at.size, dim]), at as tf.Tensor1D, vocab),
    };
  });
}

/** {@link embedding} in plain tf.js operations, with tf.js's own gradient. */
export function embeddingPlain(table: tf.Tensor, ids: tf.Tensor): tf.Tensor {
  if (ids.dtype !== 'int32') throw new TypeError(`embedding: the ids must be int32, not ${ids.dtype}`);
  return tf.gather(table, ids);
}
