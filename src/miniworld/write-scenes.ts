/** Scenes as files with the fields of CoRL's data: JSON lines beside images. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Rng } from '../engine/random';
import { savePng } from '../io';
import { writeFileAtomic } from '../io/write-file';
import { sceneExample } from './examples';
import type { SpriteSheet } from './sprites';
import { IMAGE_SIZE, type Split } from './world';

/**
 * Writes `count` scene examples: `images/00000.png` ... and `data.jsonl`, the lines last and at once.
 * @param onProgress called after every image
 * @returns the path of `data.jsonl`
 */
export async function writeScenes(
  folder: string,
  sprites: SpriteSheet,
  options: { count: number; split: Split; seed: number },
  onProgress?: (done: number, total: number) => void,
): Promise<string> {
  const { count, split, seed } = options;
  if (!Number.isInteger(count) || count < 1) throw new RangeError(`count should be a positive integer, got ${count}`);
  const rng = new Rng(seed).split('scenes').split(split);
  const lines: string[] = [];
  for (let i = 0; i < count; i++) {
    const { pixels, ...rest } = sceneExample(rng.split(i), split, sprites);
    const real_image = `images/${String(i).padStart(5, '0')}.png`;
    await savePng(path.join(folder, real_image), { width: IMAGE_SIZE, height: IMAGE_SIZE, rgb: pixels });
    lines.push(JSON.stringify({ real_image, ...rest }));
    onProgress?.(i + 1, count);
  }
  const file = path.join(folder, 'data.jsonl');
  await mkdir(folder, { recursive: true });
  await writeFileAtomic(file, `${lines.join('\n')}\n`);
  return file;
}
