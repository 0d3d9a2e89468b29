/**
 * The way to TensorFlow kernels that tf.js has no name for. Every operation that uses one has a plain tf.js twin
 * for the other engines.
 */
import * as tf from '@tensorflow/tfjs';

/** One attribute of a TensorFlow operation. */
export interface KernelAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean | string | readonly number[];
}

interface TensorflowBackend {
  readonly binding: Readonly<Record<string, number>>;
  executeSingleOutput(name: string, attributes: readonly KernelAttribute[], inputs: readonly tf.Tensor[]): tf.Tensor;
  executeMultipleOutputs(
    name: string,
    attributes: readonly KernelAttribute[],
    inputs: readonly tf.Tensor[],
    outputs: number,
  ): tf.Tensor[];
}

/** True when tf.js runs on TensorFlow, whose kernels {@link kernel} reaches. */
export function onTensorflow(): boolean {
  return tf.getBackend() === 'tensorflow';
}

let ownKernels: ReadonlySet<string> | undefined;

/**
 * Says which of UniLab's own TensorFlow kernels are loaded; the tensorflow engine calls it when it starts.
 * @param names undefined: none
 */
export function setOwnKernels(names: readonly string[] | undefined): void {
  ownKernels = names && new Set(names);
}

/** True when UniLab's own fused kernels (`src/engine/native`) can be run by {@link kernel}. */
export function hasOwnKernels(): boolean {
  return ownKernels !== undefined && onTensorflow();
}

/** The same of one that was added later: kernels that were compiled before lack it until they are compiled again. */
export function hasOwnKernel(name: string): boolean {
  return hasOwnKernels() && ownKernels?.has(name) === true;
}

function backend(): TensorflowBackend {
  return tf.backend() as unknown as TensorflowBackend;
}

/** A type attribute, e.g. `type('T', 'float32')`. */
export function type(name: string, dtype: tf.DataType = 'float32'): KernelAttribute {
  const { binding } = backend();
  const numbers = {
    float32: binding.TF_FLOAT,
    int32: binding.TF_INT32,
    bool: binding.TF_BOOL,
    complex64: binding.TF_COMPLEX64,
    string: binding.TF_STRING,
  };
  return { name, type: binding.TF_ATTR_TYPE, value: numbers[dtype] };
}

/** A float attribute. */
export function float(name: string, value: number): KernelAttribute {
  return { name, type: backend().binding.TF_ATTR_FLOAT, value };
}

/** A whole-number attribute. */
export function int(name: string, value: number): KernelAttribute {
  return { name, type: backend().binding.TF_ATTR_INT, value };
}

/** A boolean attribute. */
export function bool(name: string, value: boolean): KernelAttribute {
  return { name, type: backend().binding.TF_ATTR_BOOL, value };
}

/** A string attribute. */
export function text(name: string, value: string): KernelAttribute {
  return { name, type: backend().binding.TF_ATTR_STRING, value };
}

/** Runs one TensorFlow operation with one output. Not recorded for gradients: use it inside `tf.customGrad`. */
export function kernel(name: string, attributes: readonly KernelAttribute[], inputs: readonly tf.Tensor[]): tf.Tensor {
  return backend().executeSingleOutput(name, attributes, inputs);
}

/** Runs one TensorFlow operation with several outputs. Not recorded for gradients. */
export function kernels(
  name: string,
  attributes: readonly KernelAttribute[],
  inputs: readonly tf.Tensor[],
  outputs: number,
): tf.Tensor[] {
  return backend().executeMultipleOutputs(name, attributes, inputs, outputs);
}

/** The sum over all rows of `[rows, columns]`: the gradient of a bias. @returns `[columns]` */
export function sumRows(x: tf.Tensor): tf.Tensor {
  const flat = tf.reshape(x, [-1, x.shape[x.rank - 1]]);
  return onTensorflow() ? kernel('BiasAddGrad', [type('T'), text('data_format', 'NHWC')], [flat]) : tf.sum(flat, 0);
}
