/**
 * What a method does to images, as a picture for the README: of every seed that has been run the first two images of its
 * evaluation, whatever they show, before and after; of Sync-GRPO with the subject. `make pictures`.
 *
 *   node --require ts-node/register/transpile-only scripts/results/pictures.ts
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { METHODS, type Method, type RunResult } from '../../src/eval/results';
import { dataFolder, packageRoot } from '../../src/io/package-root';
import { writeFileAtomic } from '../../src/io/write-file';
import { conceptReferences } from '../../src/miniworld/concept-images';
import { findConcept } from '../../src/miniworld/concepts';
import { loadSprites } from '../../src/miniworld/sprites';
import { type ListedRun, nameOf, RUNS } from './runs';

/** Side of an image of the mini world, and in the picture. */
const SIDE = 64;
const LARGE = 104;
const GAP = 8;
const LEFT = 60;
const TOP = 28;
const LINE = 13;
/** Letters that fit under an image. */
const LETTERS = 18;
const COLUMNS_A_SEED = 2;
const TITLES: Readonly<Record<Method, string>> = { 'sync-grpo': 'Sync-GRPO', corl: 'CoRL', 'mm-r1': 'MM-R1' };

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Words in lines of at most {@link LETTERS} letters. */
function linesOf(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const longer = `${lines[lines.length - 1] ?? ''} ${word}`.trim();
    if (lines.length > 0 && longer.length <= LETTERS) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** The prompt alone, of a question that tells facts first. */
const promptOf = (question: string) => /question : (.*?) answer :/.exec(question)?.[1] ?? question;

const enlarged = (image: sharp.Sharp) => image.resize(LARGE, LARGE, { kernel: 'nearest' }).png().toBuffer();

interface Column {
  readonly prompt: string;
  /** PNG files, from top to bottom. */
  readonly images: readonly Buffer[];
}

/** The first columns of a run. */
async function columnsOf(run: ListedRun): Promise<Column[]> {
  const file = (end: string) => dataFolder('results', 'images', `${nameOf(run)}-${end}`);
  if (!existsSync(file('after.png'))) return [];
  const prompts = JSON.parse(readFileSync(file('prompts.json'), 'utf8')) as string[];
  const subject = run.method === 'sync-grpo' ? [await subjectOf(run)] : [];
  const tile = (sheet: string, i: number) =>
    enlarged(sharp(file(sheet)).extract({ left: i * SIDE, top: 0, width: SIDE, height: SIDE }));
  return Promise.all(
    prompts.slice(0, COLUMNS_A_SEED).map(async (prompt, i) => ({
      prompt: promptOf(prompt),
      images: [...subject, await tile('before.png', i), await tile('after.png', i)],
    })),
  );
}

/** A reference image of the concept that a run was about. */
async function subjectOf(run: ListedRun): Promise<Buffer> {
  const { options } = JSON.parse(readFileSync(dataFolder('results', `${nameOf(run)}.json`), 'utf8')) as RunResult;
  const [{ pixels }] = conceptReferences(findConcept(String(options.concept)), 'train', await loadSprites());
  return enlarged(sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 3 } }));
}

async function pictureOf(method: Method): Promise<string | undefined> {
  const runs = RUNS.filter((run) => run.method === method && run.variant === 'full');
  const columns = (await Promise.all(runs.map(columnsOf))).flat();
  if (columns.length === 0) return undefined;
  const rows = columns[0].images.length;
  const [left, top] = [(i: number) => LEFT + i * (LARGE + GAP), (k: number) => TOP + k * (LARGE + GAP)];
  const lines = columns.map(({ prompt }) => linesOf(prompt));
  const texts = top(rows) + 4;
  const width = left(columns.length);
  const height = texts + LINE * Math.max(...lines.map((one) => one.length));
  const word = (x: number, y: number, text: string, size = 11) =>
    `<text x="${x}" y="${y}" font-size="${size}" font-family="sans-serif" fill="#222">${escaped(text)}</text>`;
  const title = `${TITLES[method]}: the first ${COLUMNS_A_SEED} held-out prompts of ${columns.length / COLUMNS_A_SEED} seeds`;
  const words = [
    word(4, 18, title, 14),
    ...['subject', 'before', 'after'].slice(-rows).map((name, k) => word(4, top(k) + LARGE / 2, name, 12)),
    ...lines.flatMap((one, i) => one.map((line, k) => word(left(i), texts + k * LINE, line))),
  ].join('');
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#fff"/>${words}</svg>`;
  const layers = columns.flatMap(({ images }, i) => images.map((input, k) => ({ input, left: left(i), top: top(k) })));
  const png = await sharp(Buffer.from(svg)).composite(layers).png({ compressionLevel: 9 }).toBuffer();
  const out = path.join(packageRoot(), 'docs', 'images', `${method}.png`);
  await mkdir(path.dirname(out), { recursive: true });
  await writeFileAtomic(out, png);
  return out;
}

async function main(): Promise<void> {
  for (const method of METHODS) {
    const out = await pictureOf(method);
    console.log(out ? `${method}: ${path.relative(packageRoot(), out)}` : `${method}: no seed has been run`);
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
