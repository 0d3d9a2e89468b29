/** What a run leaves for people: scores, and sheets of images before and after. */
import path from 'node:path';
import type { Evaluation } from '../data/task';
import { type Image, imageSheet, savePng } from '../io';
import { writeFileAtomic } from '../io/write-file';

/**
 * Writes `references.png`, `before.png`, `after.png`, the plot `rewards.svg` when there is one, `items.json` with the scores
 * of every item, and last `result.json`, so that a result is there only when all of it is. @returns the files
 */
export async function saveResult(
  folder: string,
  result: object,
  evaluations: { readonly before: Evaluation; readonly after: Evaluation },
  references: readonly Image[],
  plot?: string,
): Promise<string[]> {
  const drawn = ({ items }: Evaluation) => items.flatMap(({ image }) => image ?? []).slice(0, 24);
  const { before, after } = evaluations;
  const sheets = { references, before: drawn(before), after: drawn(after) };
  const files: string[] = [];
  for (const [name, images] of Object.entries(sheets)) {
    if (images.length === 0) continue; // an evaluation may draw nothing
    files.push(path.join(folder, `${name}.png`));
    await savePng(files[files.length - 1], imageSheet(images, 6));
  }
  if (plot !== undefined) {
    files.push(path.join(folder, 'rewards.svg'));
    await writeFileAtomic(path.join(folder, 'rewards.svg'), plot);
  }
  files.push(path.join(folder, 'items.json'));
  await writeFileAtomic(path.join(folder, 'items.json'), `${JSON.stringify(comparedItems(before, after))}\n`);
  files.push(path.join(folder, 'result.json'));
  await writeFileAtomic(path.join(folder, 'result.json'), `${JSON.stringify(result, null, 2)}\n`);
  return files;
}

/** One held-out item, before and after: what a pool of runs is made of. */
export interface ComparedItem {
  readonly prompt: string;
  readonly cluster: string;
  /** Metric -> value. */
  readonly before: Readonly<Record<string, number>>;
  readonly after: Readonly<Record<string, number>>;
}

function comparedItems(before: Evaluation, after: Evaluation): ComparedItem[] {
  const rounded = (scores: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(scores).map(([name, value]) => [name, Number(value.toPrecision(6))]));
  return before.items.map(({ prompt, cluster = prompt, scores }, i) => ({
    prompt,
    cluster,
    before: rounded(scores),
    after: rounded(after.items[i].scores),
  }));
}
