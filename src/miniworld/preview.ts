/** A contact sheet of the mini world: images large enough to look at, with caption, question and answer. */
import sharp from 'sharp';
import { Rng } from '../engine/random';
import { conceptQuestions } from './concept-examples';
import { conceptReferences } from './concept-images';
import { CONCEPTS } from './concepts';
import { sceneExample } from './examples';
import { SCENE_KINDS } from './scene';
import type { SpriteSheet } from './sprites';
import { IMAGE_SIZE } from './world';

/** An image and the lines beneath it. */
interface Tile {
  readonly pixels: Uint8Array;
  readonly lines: readonly string[];
}

const COLUMNS = 7;
const SCALE = 3;
const TILE = { width: 236, height: 292 };

/** Thirty scenes (six of each kind, the last of each held out where there are such) and the first image of ten concepts. */
function tiles(seed: number, sprites: SpriteSheet): Tile[] {
  const rng = new Rng(seed).split('preview');
  const scenes = SCENE_KINDS.flatMap((kind) =>
    Array.from({ length: 6 }, (_, i): Tile => {
      const split = i === 5 && kind !== 'subject' ? 'heldout' : 'train';
      const example = sceneExample(rng.split(kind).split(i), split, sprites, kind);
      const mark = split === 'heldout' ? ' [held out]' : '';
      return {
        pixels: example.pixels,
        lines: [example.prompt + mark, example.qa_problem, `-> ${example.qa_solution}`],
      };
    }),
  );
  const concepts = CONCEPTS.filter((_, i) => i % 2 === 0).map((concept): Tile => {
    const [image] = conceptReferences(concept, 'train', sprites).slice(4);
    const questions = conceptQuestions(concept, image);
    const { problem, solution } = rng.split(concept.name).pick(questions);
    return { pixels: image.pixels, lines: [`${image.caption} (${concept.name})`, problem, `-> ${solution}`] };
  });
  return [...scenes, ...concepts];
}

/** Breaks a line at spaces. */
function wrap(line: string, width: number): string[] {
  const out: string[] = [''];
  for (const word of line.split(' ')) {
    const last = out[out.length - 1];
    if (last && last.length + 1 + word.length > width) out.push(word);
    else out[out.length - 1] = last ? `${last} ${word}` : word;
  }
  return out;
}

const escape = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

const textSvg = (body: string, width: number, height: number) =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12">${body}</svg>`,
  );

/**
 * Whether this machine can draw text: without a font nothing or the same box comes out for every letter.
 */
export async function hasFonts(): Promise<boolean> {
  const draw = async (letter: string) => {
    const svg = textSvg(`<text x="4" y="20" font-size="20">${letter}</text>`, 32, 28);
    return sharp(svg).ensureAlpha().extractChannel('alpha').raw().toBuffer();
  };
  const [i, w] = [await draw('i'), await draw('W')];
  return w.some((v) => v > 0) && !i.equals(w);
}

/** The finished sheet. */
export interface ContactSheet {
  readonly png: Buffer;
  /** what stands beneath each image, in order */
  readonly captions: readonly (readonly string[])[];
  /** false when no font was found: then the sheet has images only */
  readonly withText: boolean;
}

/** Draws forty images with their texts. The same seed gives the same sheet. */
export async function contactSheet(seed: number, sprites: SpriteSheet): Promise<ContactSheet> {
  const list = tiles(seed, sprites);
  const withText = await hasFonts();
  const side = IMAGE_SIZE * SCALE;
  const layers: sharp.OverlayOptions[] = [];
  for (const [i, { pixels, lines }] of list.entries()) {
    const left = (i % COLUMNS) * TILE.width + 8;
    const top = Math.floor(i / COLUMNS) * TILE.height + 8;
    const raw = { width: IMAGE_SIZE, height: IMAGE_SIZE, channels: 3 as const };
    const input = await sharp(pixels, { raw }).resize(side, side, { kernel: 'nearest' }).png().toBuffer();
    layers.push({ input, left, top });
    if (!withText) continue;
    const styles = ['fill="#111"', 'fill="#444" font-style="italic"', 'fill="#06c" font-weight="bold"'];
    const rows = lines.flatMap((line, k) => wrap(line, 34).map((row) => ({ row, style: styles[k] })));
    const body = rows
      .map(({ row, style }, k) => `<text x="0" y="${13 + 15 * k}" ${style}>${escape(row)}</text>`)
      .join('');
    layers.push({ input: textSvg(body, TILE.width - 8, TILE.height - side - 8), left, top: top + side + 2 });
  }
  const size = { width: COLUMNS * TILE.width, height: Math.ceil(list.length / COLUMNS) * TILE.height };
  const png = await sharp({ create: { ...size, channels: 3, background: '#f4f4f4' } })
    .composite(layers)
    .png()
    .toBuffer();
  return { png, captions: list.map((tile) => tile.lines), withText };
}
