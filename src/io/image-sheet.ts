/** Several images as one, to be looked at together. */
import type { Image } from './images';

/** Images of one size in rows. @throws RangeError for none, or for images of unlike sizes */
export function imageSheet(images: readonly Image[], columns: number): Image {
  if (images.length === 0) throw new RangeError('a sheet needs at least one image');
  const [{ width, height }] = images;
  const rows = Math.ceil(images.length / columns);
  const sheet = {
    width: columns * width,
    height: rows * height,
    rgb: new Uint8Array(columns * width * rows * height * 3),
  };
  sheet.rgb.fill(255);
  for (const [i, image] of images.entries()) {
    if (image.width !== width || image.height !== height)
      throw new RangeError(`image ${i} is ${image.width} x ${image.height}, the first ${width} x ${height}`);
    const left = (i % columns) * width;
    const top = Math.floor(i / columns) * height;
    for (let y = 0; y < height; y++) {
      const row = image.rgb.subarray(y * width * 3, (y + 1) * width * 3);
      sheet.rgb.set(row, ((top + y) * sheet.width + left) * 3);
    }
  }
  return sheet;
}
