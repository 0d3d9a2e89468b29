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

export interface ReadImageOptions {
  /** Turn the image as its EXIF data says, as a photograph of a phone needs it. Default false: the pixels as they are stored. */
  readonly upright?: boolean;
  /** Transparent parts: `drop` (default) leaves the stored colors, `white` lays them on white. */
  readonly alpha?: 'drop' | 'white';
}

/**
 * Reads a PNG, JPEG, WebP, GIF (first frame), TIFF, AVIF or SVG image as 8-bit RGB. The defaults give the numbers of
 * Pillow's `convert('RGB')`, which the published models and scorers read their images with; features are comparable to
 * theirs only then. So color profiles are not applied, CMYK is (255 - C)(255 - K) / 255, an alpha channel is dropped,
 * EXIF data turn nothing, of 16 bits in colors the upper 8 count, and 16-bit gray without alpha is cut off at 255. Two
 * exceptions: a GIF's transparent pixels are black, for their colors are lost in decoding, and an SVG, which Pillow does
 * not read, is always laid on white.
 * @param source a path, or the file's bytes
 * @throws Error naming the file when it is missing or no image
 */
export async function readImage(source: string | Uint8Array, options: ReadImageOptions = {}): Promise<Image> {
  try {
    return await decode(source, options);
  } catch (error) {
    const name = typeof source === 'string' ? source : 'the image';
    throw new Error(`${name} cannot be read as an image: ${(error as Error).message}`, { cause: error });
  }
}

async function decode(source: string | Uint8Array, { upright = false, alpha = 'drop' }: ReadImageOptions) {
  const { format, space, channels } = await sharp(source).metadata();
  const stored = sharp(source, { ignoreIcc: true });
  const image = upright ? stored.autoOrient() : stored;
  if (space === 'cmyk') return rgbOf(image.pipelineColourspace('cmyk').toColourspace('cmyk').raw(), 4, rgbFromCmyk);
  if (space === 'grey16' && channels === 1)
    return rgbOf(image.toColourspace('grey16').raw({ depth: 'ushort' }), 1, rgbFromGray16);
  const onWhite = alpha === 'white' || format === 'svg';
  const opaque = onWhite ? image.flatten({ background: '#ffffff' }) : image.removeAlpha();
  return rgbOf(opaque.toColourspace('srgb').raw(), 3, (bytes) => new Uint8Array(bytes));
}

/** Decodes, and makes RGB of what came. @throws Error for another number of channels */
async function rgbOf(image: sharp.Sharp, channels: number, convert: (bytes: Buffer) => Uint8Array): Promise<Image> {
  const { data, info } = await image.toBuffer({ resolveWithObject: true });
  if (info.channels !== channels) throw new Error(`it has ${info.channels} channels, ${channels} were expected`);
  return { width: info.width, height: info.height, rgb: convert(data) };
}

/** (255 - ink)(255 - black) / 255, rounded. */
function rgbFromCmyk(bytes: Buffer): Uint8Array {
  return Uint8Array.from({ length: (bytes.length / 4) * 3 }, (_, i) => {
    const at = 4 * Math.floor(i / 3);
    return Math.round(((255 - bytes[at + (i % 3)]) * (255 - bytes[at + 3])) / 255);
  });
}

/** Two bytes a pixel in the machine's order. */
function rgbFromGray16(bytes: Buffer): Uint8Array {
  const levels = new Uint16Array(new Uint8Array(bytes).buffer);
  return Uint8Array.from({ length: levels.length * 3 }, (_, i) => Math.min(255, levels[Math.floor(i / 3)]));
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
