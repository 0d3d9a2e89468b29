/** Between files and tf.js: the one place in `io` that knows tensors. */
import * as tf from '@tensorflow/tfjs';
import type { Image } from './images';
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
  if (tensor.dtype === 'bool')
    return { dtype: 'BOOL', shape, data: async () => Uint8Array.from(await tensor.data<'bool'>()) };
  throw new TypeError(`a ${tensor.dtype} tensor cannot be saved; float32, int32 and bool can`);
}

/** Images of one size as a tensor `[n, height, width, 3]`, float32 in [-1, 1]. @throws RangeError for none, or mixed sizes */
export function imagesToTensor(images: readonly Image[]): tf.Tensor4D {
  if (images.length === 0) throw new RangeError('no images were given');
  const { width, height } = images[0];
  for (const [i, image] of images.entries()) {
    if (image.width !== width || image.height !== height) {
      throw new RangeError(
        `image ${i} is ${image.width} x ${image.height}, the first ${width} x ${height}; one batch needs one size`,
      );
    }
  }
  return pixelsTensor(
    images.map(({ rgb }) => rgb),
    height,
    width,
  );
}

/** RGB bytes of images of one size -> `[images, height, width, 3]` in [-1, 1]. @throws RangeError for other counts of bytes */
export function pixelsTensor(images: readonly Uint8Array[], height: number, width: number): tf.Tensor4D {
  const size = height * width * 3;
  const out = new Float32Array(images.length * size);
  images.forEach((image, b) => {
    if (image.length !== size)
      throw new RangeError(`image ${b} has ${image.length} bytes, expected ${height} x ${width} x 3`);
    for (let i = 0; i < size; i++) out[b * size + i] = image[i] / 127.5 - 1;
  });
  return tf.tensor4d(out, [images.length, height, width, 3]);
}

/** A tensor `[n, height, width, 3]` in [-1, 1] (values outside are cut) as images. @throws RangeError for another shape */
export async function tensorToImages(images: tf.Tensor): Promise<Image[]> {
  const [n, height, width, channels] = images.shape;
  if (images.rank !== 4 || channels !== 3)
    throw new RangeError(`images must be [n, height, width, 3], got [${images.shape.join(', ')}]`);
  const data = await images.data();
  const size = height * width * 3;
  return Array.from({ length: n }, (_, i) => ({
    width,
    height,
    rgb: Uint8Array.from(data.subarray(i * size, (i + 1) * size), (v) =>
      Math.min(255, Math.max(0, Math.round((v + 1) * 127.5))),
    ),
  }));
}
