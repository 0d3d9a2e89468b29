/** Data with the fields of CoRL (real_image, prompt, qa_problem, qa_solution, qa_type) as JSON lines beside images. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../io/write-file';
import { Rng } from '../engine/random';
import { savePng } from '../io';
import { sceneExample } from '../miniworld/examples';
import type { Scene } from '../miniworld/scene';
import type { SpriteSheet } from '../miniworld/sprites';
import { PICTURE_SIZE, type Split } from '../miniworld/world';

/** One line of the file. */
export interface CorlRecord {
  /** image file; written as a path from the file's folder, read as an absolute path */
  readonly real_image: string;
  readonly prompt: string;
  readonly qa_problem: string;
  readonly qa_solution: string;
  readonly qa_type: string;
  /** the mini world's own addition: the whole truth */
  readonly scene?: Scene;
}

const FIELDS = ['real_image', 'prompt', 'qa_problem', 'qa_solution', 'qa_type'] as const;

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
    await savePng(path.join(folder, real_image), { width: PICTURE_SIZE, height: PICTURE_SIZE, rgb: pixels });
    const record: CorlRecord = { real_image, ...rest };
    lines.push(JSON.stringify(record));
    onProgress?.(i + 1, count);
  }
  const file = path.join(folder, 'data.jsonl');
  await mkdir(folder, { recursive: true });
  await writeFileAtomic(file, `${lines.join('\n')}\n`);
  return file;
}

/**
 * Reads a file of CoRL's fields.
 * @throws Error naming file, line and field when one is missing or no text, or when an image is not there
 */
export function readCorl(file: string): CorlRecord[] {
  if (!existsSync(file)) throw new Error(`${file}: the file is missing`);
  const out: CorlRecord[] = [];
  for (const [i, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (line.trim() === '') continue;
    const at = `${file}:${i + 1}`;
    let record: Record<string, unknown>;
    try {
      record = JSON.parse(line) as Record<string, unknown>;
    } catch (error) {
      throw new Error(`${at}: not a line of JSON (${(error as Error).message})`);
    }
    for (const field of FIELDS) {
      if (typeof record?.[field] !== 'string') {
        throw new Error(`${at}: field '${field}' should be a text, got ${JSON.stringify(record?.[field])}`);
      }
    }
    const real_image = path.resolve(path.dirname(file), String(record.real_image));
    if (!existsSync(real_image)) throw new Error(`${at}: field 'real_image': there is no image ${real_image}`);
    out.push({ ...(record as unknown as CorlRecord), real_image });
  }
  return out;
}
