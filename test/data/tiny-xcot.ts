/** X-CoT records in words and sizes of the tiny models. */
import { mkdir, writeFile } from 'node:fs/promises';
import type { XcotRecord } from '../../src/data/xcot';
import { recordsFile, writeXcotImages } from '../../src/data/xcot-folder';
import { noiseImage } from '../models/showo/tiny-showo';

/** Record `i`; its images are noise of its own. */
export function tinyXcotRecord(i: number, subject: string): XcotRecord {
  const [reference, focus, target] = [1, 2, 3].map((seed) => noiseImage(8, 8, 10 * i + seed));
  return {
    id: `r${i}`,
    subject,
    prompt: `w25 w2${i}`,
    reference,
    focus,
    target,
    caption: `w30 ${subject}`,
    plan: 'w32',
  };
}

/** A folder of one record for each subject named. */
export async function tinyXcotFolder(folder: string, subjects: readonly string[]): Promise<string> {
  await mkdir(folder, { recursive: true });
  const lines = [];
  for (const [i, subject] of subjects.entries())
    lines.push(JSON.stringify(await writeXcotImages(folder, tinyXcotRecord(i, subject))));
  await writeFile(recordsFile(folder), `${lines.join('\n')}\n`);
  return folder;
}
