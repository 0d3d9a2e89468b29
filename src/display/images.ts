/** Images as PNG: from RGB bytes and from image tensors, enlarged without blur where they are small. */
import sharp from 'sharp';

/** An RGB image: 8 bits a channel, rows from the top, `rgb.length === 3 * width * height`. */
export interface ImageLike {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array | Uint8ClampedArray;
}

/** The part of a tf.js tensor that displays read. */
export interface TensorLike {
  readonly shape: number[];
  readonly dtype: string;
  readonly size: number;
  dataSync(): ArrayLike<number | string>;
}

/** What is accepted wherever one image is shown: an image, or an image tensor `[height, width, 3]` in [-1, 1]. */
export type ImageInput = ImageLike | TensorLike;

export function isImage(value: unknown): value is ImageLike {
  const image = value as Partial<ImageLike> | null;
  return (
    typeof image === 'object' &&
    image !== null &&
    Number.isInteger(image.width) &&
    Number.isInteger(image.height) &&
    (image.rgb instanceof Uint8Array || image.rgb instanceof Uint8ClampedArray)
  );
}

export function isTensor(value: unknown): value is TensorLike {
  const tensor = value as Partial<TensorLike> | null;
  return (
    typeof tensor === 'object' &&
    tensor !== null &&
    Array.isArray(tensor.shape) &&
    typeof tensor.dtype === 'string' &&
    typeof tensor.size === 'number' &&
    typeof tensor.dataSync === 'function'
  );
}

/**
 * Whether a tensor is taken for images: float32 of shape `[height, width, 3]` or `[n, height, width, 3]` with sides
 * of at least 8 and every value in [-1, 1] (a rounding error of 1e-3 is allowed).
 */
export function isImageTensor(tensor: TensorLike): boolean {
  const { shape } = tensor;
  if (tensor.dtype !== 'float32' || (shape.length !== 3 && shape.length !== 4)) return false;
  const [height, width, channels] = shape.slice(-3);
  if (channels !== 3 || height < 8 || width < 8 || tensor.size > 3 * 4096 * 4096) return false;
  const values = tensor.dataSync() as ArrayLike<number>;
  for (let i = 0; i < values.length; i++) if (!(Math.abs(values[i]) <= 1.001)) return false;
  return true;
}

function checked(image: ImageLike): ImageLike {
  const { width, height, rgb } = image;
  if (width < 1 || height < 1 || rgb.length !== 3 * width * height) {
    throw new RangeError(
      `a picture of ${width} x ${height} needs ${3 * width * height} bytes of RGB, this one has ${rgb.length}`,
    );
  }
  return image;
}

/**
 * The images of an input: one for an image or a tensor `[height, width, 3]`, n for `[n, height, width, 3]`. The
 * tensor's values, in [-1, 1], are clamped and rounded to bytes; it is not disposed.
 * @throws RangeError for another shape, or bytes that do not fit the size
 */
export function imagesOf(input: ImageInput): ImageLike[] {
  if (!isTensor(input)) return [checked(input)];
  const { shape } = input;
  const [height, width, channels] = shape.slice(-3);
  if ((shape.length !== 3 && shape.length !== 4) || channels !== 3) {
    throw new RangeError(
      `an image tensor has shape [height, width, 3] or [n, height, width, 3], this one has [${shape.join(', ')}]`,
    );
  }
  const values = input.dataSync() as ArrayLike<number>;
  const bytes = 3 * height * width;
  return Array.from({ length: shape.length === 4 ? shape[0] : 1 }, (_, n) => {
    const rgb = new Uint8ClampedArray(bytes); // clamps and rounds; NaN becomes 0
    for (let i = 0; i < bytes; i++) rgb[i] = (values[n * bytes + i] + 1) * 127.5;
    return { width, height, rgb };
  });
}

/** The whole factor by which an image is enlarged so that its longer side comes near `target` pixels; at least 1. */
export function enlargement(image: ImageLike, target: number): number {
  return Math.max(1, Math.floor(target / Math.max(image.width, image.height)));
}

/**
 * PNG bytes of an image, enlarged by a whole factor with nearest neighbor.
 * @param factor 1 keeps the size
 */
export async function pngOf(image: ImageLike, factor = 1): Promise<Buffer> {
  const { width, height, rgb } = checked(image);
  const raw = sharp(Buffer.from(rgb.buffer, rgb.byteOffset, rgb.byteLength), { raw: { width, height, channels: 3 } });
  const sized = factor === 1 ? raw : raw.resize(width * factor, height * factor, { kernel: 'nearest' });
  return sized.png({ compressionLevel: 9 }).toBuffer();
}
