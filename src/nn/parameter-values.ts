/** The numbers of one parameter: its first values, and the way between upstream's layout and the one that computes. */
import { type Rng, tf } from '../engine';
import type { Parameter, Weight } from './module';
import { Bf16Weight, Float32Weight } from './weights';

/** How numbers are held: float32 that can learn, or frozen bfloat16 in half the memory. */
export type StorageType = 'F32' | 'BF16';

const CONV_TO_TF = [2, 3, 1, 0];
const CONV_TO_TORCH = [3, 2, 0, 1];

/** The first values of a parameter. */
export function randomValues({ shape, initial }: Parameter, rng: Rng): Float32Array {
  const size = sizeOf(shape);
  if ('constant' in initial) return new Float32Array(size).fill(initial.constant);
  const values = rng.normal(size);
  for (let i = 0; i < size; i++) values[i] *= initial.normal;
  return values;
}

/** A parameter's numbers, held. @param values in upstream's shape */
export function weightOf(parameter: Parameter, values: Float32Array, dtype: StorageType): Weight {
  const tensor = tensorOf(parameter, values);
  try {
    if (dtype === 'BF16') return Bf16Weight.copy(tensor);
    const weight = new Float32Weight(tf.variable(tensor));
    uploadNow(weight.variable);
    return weight;
  } finally {
    tensor.dispose();
  }
}

/** Upstream's values in the layout that the forward pass uses. */
export function tensorOf({ shape, layout }: Parameter, values: Float32Array): tf.Tensor {
  return tf.tidy(() => {
    const tensor = tf.tensor(values, [...shape], 'float32');
    return layout === 'conv' ? tf.transpose(tensor, CONV_TO_TF) : tensor;
  });
}

/** What is held, as upstream has it: a new tensor. */
export function upstreamOf(held: tf.Tensor, layout: Parameter['layout']): tf.Tensor {
  return layout === 'conv' ? tf.transpose(held, CONV_TO_TORCH) : tf.clone(held);
}

/** A native engine copies a tensor's numbers when it first uses them; until then they would stand outside it, too. */
function uploadNow(tensor: tf.Tensor): void {
  if (tensor.size === 0 || tensor.rank === 0) return;
  const { shape } = tensor;
  const first = shape.map(() => 0);
  const one = shape.map(() => 1);
  tf.tidy(() => void tf.slice(tensor, first, one));
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
