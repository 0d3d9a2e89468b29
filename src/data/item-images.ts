/** Images that an item names or carries: inside the data set's folder, there, images, and of a size that can be held. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { type Image, readImage } from '../io';
import { ItemProblem } from './items';

/** 8192 x 8192: a few kilobytes of PNG can claim a thousand times that. */
const maxPixels = 1 << 26;

/** An image that was looked at, but not decoded: its file or its bytes. */
export type ItemImage = string | Uint8Array;

/** @throws Error naming the file when it cannot be decoded */
export const loadItemImage = (image: ItemImage): Promise<Image> => readImage(image);

/**
 * The absolute path of an image that an item names.
 * @param folder what the name starts from; it never leads out of it
 * @throws ItemProblem naming the field
 */
export async function imageFile(folder: string, name: string, field = 'image'): Promise<string> {
  const file = path.join(folder, pathInside(name, field));
  const info = await stat(file).catch(() => undefined);
  if (!info?.isFile()) throw new ItemProblem(`field '${field}': there is no image ${file}`);
  await checkImage(file, field);
  return file;
}

/** The bytes of an image in base64, with or without `data:image/...;base64,`. @throws ItemProblem naming the field */
export async function imageFromBase64(text: string, field = 'image'): Promise<Uint8Array> {
  const code = text.replace(/^data:image\/[\w.+-]+;base64,/, '').trim();
  if (!/^[A-Za-z0-9+/\s]+={0,2}$/.test(code)) throw new ItemProblem(`field '${field}' is no image in base64`);
  return imageBytes(Buffer.from(code, 'base64'), field);
}

/** @throws ItemProblem naming the field when the bytes are no image */
export async function imageBytes(bytes: Uint8Array, field = 'image'): Promise<Uint8Array> {
  await checkImage(bytes, field);
  return bytes;
}

/** @throws ItemProblem for a path that is absolute, leads out, or is written for another system */
export function pathInside(name: string, field: string): string {
  const fail = (why: string): never => {
    throw new ItemProblem(`field '${field}': '${name}' ${why}; a path inside the data set's folder was expected`);
  };
  if (name === '' || name.includes('\0')) fail('is no path');
  if (name.includes('\\')) fail("has '\\' between folders instead of '/'");
  if (path.posix.isAbsolute(name) || /^[A-Za-z]:/.test(name)) fail('is an absolute path');
  if (path.posix.normalize(name).startsWith('..')) fail('leads out of the folder');
  return name;
}

async function checkImage(source: ItemImage, field: string): Promise<void> {
  const name = typeof source === 'string' ? source : 'it';
  const { width, height } = await sharp(source, { limitInputPixels: false })
    .metadata()
    .catch((error: Error) => {
      throw new ItemProblem(`field '${field}': ${name} is no image (${error.message})`);
    });
  if (width * height > maxPixels)
    throw new ItemProblem(
      `field '${field}': ${name} has ${width} x ${height} pixels, more than the ${maxPixels} that are read`,
    );
}
