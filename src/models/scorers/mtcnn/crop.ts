/** Cutting a face out of an image, as facenet-pytorch's `extract_face` does it: a box and a margin, no turning. */
import type { Image } from '../../../io';
import { resampleImage } from '../../../io/preprocess/resample';
import type { DetectedFace } from './face';

export interface CropOptions {
  /** Side of the square result, pixels. Default 160, what FaceNet was trained on. */
  readonly size?: number;
  /** Pixels of the result that show the surroundings, half on each side. Default 0. */
  readonly margin?: number;
}

/**
 * The face in a box, cut at whole pixels and stretched to a square by Pillow's bilinear filter.
 * @throws RangeError when the box has no pixel in the image, or the margin leaves none for the face
 */
export function cropFace(image: Image, box: DetectedFace['box'], options: CropOptions = {}): Image {
  const { size = 160, margin = 0 } = options;
  if (!(margin >= 0 && margin < size)) throw new RangeError(`a margin of ${margin} leaves nothing of ${size} pixels`);
  const [x1, y1, x2, y2] = box;
  const beside = (margin * (x2 - x1)) / (size - margin) / 2;
  const above = (margin * (y2 - y1)) / (size - margin) / 2;
  const left = Math.trunc(Math.max(x1 - beside, 0));
  const top = Math.trunc(Math.max(y1 - above, 0));
  const right = Math.trunc(Math.min(x2 + beside, image.width));
  const bottom = Math.trunc(Math.min(y2 + above, image.height));
  if (!(right > left && bottom > top)) {
    throw new RangeError(
      `the box [${box.join(', ')}] has no pixel in a ${image.width} x ${image.height} image: there is no face to cut out`,
    );
  }
  const [width, height] = [right - left, bottom - top];
  const rgb = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * 3;
    rgb.set(image.rgb.subarray(from, from + width * 3), y * width * 3);
  }
  return resampleImage({ width, height, rgb }, size, size, 'bilinear');
}
