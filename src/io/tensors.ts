/** Between files and tf.js: the one place in `io` that knows tensors. */
import * as tf from '@tensorflow/tfjs';
import { type RawTensor, type WritableTensor, toFloat32, toInt32 } from './safetensors';

/**
 * A tf.js tensor of a file's tensor: floats as float32, integers as int32, BOOL as bool. The caller disposes it.
 * @throws SafetensorsError `unsupported_conversion` for integers outside int32 and 8-bit floats
 */
export function toTensor(raw: RawTensor): tf.Tensor {
  const shape = [...raw.shape];
  if (raw.dtype === 'BOOL') return tf.tensor(raw.data as Uint8Array, shape, 'bool');
  if (/^[IU]/.test(raw.dtype)) return tf.tensor(toInt32(raw), shape, 'int32');
  return tf.tensor(toFloat32(raw), shape, 'float32');
}

/**
 * A tensor ready for `writeSafetensors`. Its numbers are fetched when their turn comes, so the tensor must live until
 * the write is done.
 * @param floatDtype how float32 tensors are stored, default `F32`; int32 becomes `I32`, bool `BOOL`
 */
export function fromTensor(tensor: tf.Tensor, floatDtype: 'F32' | 'BF16' | 'F16' = 'F32'): WritableTensor {
  const { shape } = tensor;
  if (tensor.dtype === 'float32') return { dtype: floatDtype, shape, data: () => tensor.data<'float32'>() };
  if (tensor.dtype === 'int32') return { dtype: 'I32', shape, data: () => tensor.data<'int32'>() };
  if (tensor.dtype === 'bool') return { dtype: 'BOOL', shape, data: async () => Uint8Array.from(await tensor.data<'bool'>()) };
  throw new TypeError(`a ${tensor.dtype} tensor cannot be saved; float32, int32 and bool can`);
}
