/** Images on the disk and in memory. */
import { mkdir } from 'node:fs/promises';
import * as path from 'node:path';
import sharp from 'sharp';
import { writeFileAtomic } from './write-file';

/** An image: 8-bit sRGB, `rgb` is [height, width, 3] row-major. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/** The image as a PNG file's bytes. @throws RangeError when `rgb` does not have width x height x 3 bytes */
export function encodePng(image: Image): Promise<Buffer> {
  return raw(image).png().toBuffer();
}

/** Saves an image as PNG; makes the folder when missing. The file is whole or not there. */
export async function savePng(file: string, image: Image): Promise<void> {
  const bytes = await encodePng(image);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFileAtomic(file, bytes);
}

/**
 * Reads a PNG, JPEG, WebP, GIF (first frame), TIFF, AVIF or SVG image as RGB: turned as its EXIF data says, gray made
 * three channels, transparent parts laid on white.
 * @param source a path, or the file's bytes
 * @throws Error naming the file when it is missing or no image
 */
export async function readImage(source: string | Uint8Array): Promise<Image> {
  try {
    const { data, info } = await sharp(source)
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`it has ${info.channels} channels, 3 were expected`);
    return { width: info.width, height: info.height, rgb: new Uint8Array(data) };
  } catch (error) {
    const name = typeof source === 'string' ? source : 'the image';
    throw new Error(`${name} cannot be read as an image: ${(error as Error).message}`, { cause: error });
  }
}

/** The image in another size: Lanczos, stretched to fill. */
export async function resizeImage(image: Image, width: number, height: number): Promise<Image> {
  const data = await raw(image).resize(width, height, { fit: 'fill', kernel: 'lanczos3' }).raw().toBuffer();
  return { width, height, rgb: new Uint8Array(data) };
}

function raw({ width, height, rgb }: Image): sharp.Sharp {
  if (!(width > 0 && height > 0) || rgb.length !== width * height * 3) {
    throw new RangeError(`a ${width} x ${height} image needs ${width * height * 3} bytes of RGB, got ${rgb.length}`);
  }
  return sharp(rgb, { raw: { width, height, channels: 3 } });
}
