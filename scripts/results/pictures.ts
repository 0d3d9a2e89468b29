/**
 * What a method does to images, as a picture for the README: the first images of the first seed's evaluation, before and
 * after its run, whatever they show. `make pictures`.
 *
 *   node --require ts-node/register/transpile-only scripts/results/pictures.ts
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { METHODS, type Method } from '../../src/eval/results';
import { dataFolder, packageRoot } from '../../src/io/package-root';
import { writeFileAtomic } from '../../src/io/write-file';
import { nameOf, RUNS } from './runs';
import { SHEET_COLUMNS } from './work';

/** Side of an image in the sheets of the mini world, and in the picture. */
const SIDE = 64;
const LARGE = 128;
const GAP = 8;
const LEFT = 64;
const LINE = 15;
/** Letters that fit under an image. */
const LETTERS = 21;
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

async function rowOf(file: string, top: number): Promise<sharp.OverlayOptions[]> {
  return Promise.all(
    Array.from({ length: SHEET_COLUMNS }, async (_, i) => ({
      input: await sharp(file)
        .extract({ left: i * SIDE, top: 0, width: SIDE, height: SIDE })
        .resize(LARGE, LARGE, { kernel: 'nearest' })
        .png()
        .toBuffer(),
      left: LEFT + i * (LARGE + GAP),
      top,
    })),
  );
}

async function pictureOf(method: Method): Promise<string | undefined> {
  const run = RUNS.find((one) => one.method === method && one.variant === 'full');
  if (!run) return undefined;
  const file = (end: string) => dataFolder('results', 'images', `${nameOf(run)}-${end}`);
  if (!existsSync(file('after.png'))) return undefined;
  const prompts = (JSON.parse(readFileSync(file('prompts.json'), 'utf8')) as string[]).slice(0, SHEET_COLUMNS);
  const lines = prompts.map((prompt) => linesOf(promptOf(prompt)));
  const [first, second] = [28, 28 + LARGE + GAP];
  const texts = second + LARGE + LINE;
  const width = LEFT + SHEET_COLUMNS * (LARGE + GAP);
  const height = texts + LINE * Math.max(...lines.map((one) => one.length));
  const word = (x: number, y: number, text: string, size = 12) =>
    `<text x="${x}" y="${y}" font-size="${size}" font-family="sans-serif" fill="#222">${escaped(text)}</text>`;
  const words = [
    word(4, 18, `${TITLES[method]}, seed ${run.seed}: the first held-out prompts`, 14),
    word(4, first + LARGE / 2, 'before'),
    word(4, second + LARGE / 2, 'after'),
    ...lines.flatMap((one, i) => one.map((line, k) => word(LEFT + i * (LARGE + GAP), texts + k * LINE, line))),
  ].join('');
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#fff"/>${words}</svg>`;
  const layers = [...(await rowOf(file('before.png'), first)), ...(await rowOf(file('after.png'), second))];
  const png = await sharp(Buffer.from(svg)).composite(layers).png({ compressionLevel: 9 }).toBuffer();
  const out = path.join(packageRoot(), 'docs', 'images', `${method}.png`);
  await mkdir(path.dirname(out), { recursive: true });
  await writeFileAtomic(out, png);
  return out;
}

async function main(): Promise<void> {
  for (const method of METHODS) {
    const out = await pictureOf(method);
    console.log(out ? `${method}: ${path.relative(packageRoot(), out)}` : `${method}: the first seed has not been run`);
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
