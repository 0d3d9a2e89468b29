/** A grid of images with captions and scores. */
import sharp from 'sharp';
import { Display, type MimeBundle } from './bundle';
import { escapeHtml, html, plainText, type SafeHtml, shorten } from './html';
import { enlargement, isImage, isTensor, type ImageInput, type ImageLike, imagesOf, pngOf } from './images';

/** An image with what is said about it. */
export interface CaptionedImage {
  /** One image: a `Image` or an image tensor `[height, width, 3]` in [-1, 1]. */
  readonly image: ImageInput;
  /** Shown under the image; data, never markup. */
  readonly caption?: string;
  /** One number, or several by name, shown with three decimals. */
  readonly score?: number | Readonly<Record<string, number>>;
  /** Draws a frame around the image, for the best of a group, say. Default false. */
  readonly highlight?: boolean;
}

export interface GridOptions {
  /** A line above the grid. */
  readonly title?: string;
  /** Images in a row of the PNG sheet; the HTML grid wraps by itself unless this is given. Default: up to 8. */
  readonly columns?: number;
  /** The longer side, in screen pixels, that small images are enlarged to (whole factors only). Default 160. */
  readonly size?: number;
  /** Captions, one an image, for inputs that carry none. */
  readonly captions?: readonly string[];
  /** Scores, one an image, for inputs that carry none. */
  readonly scores?: readonly (number | Readonly<Record<string, number>>)[];
}

interface Tile {
  readonly image: ImageLike;
  readonly caption: string;
  readonly score: string;
  readonly highlight: boolean;
}

/** A score as people read it: `0.123`, or `clip 0.123 · face 0.456`; numbers that are none say so. */
export function scoreText(score: CaptionedImage['score']): string {
  if (score === undefined) return '';
  if (typeof score === 'number') return Number.isFinite(score) ? score.toFixed(3) : String(score);
  return Object.entries(score)
    .map(([name, value]) => `${name} ${scoreText(value)}`)
    .join(' · ');
}

type GridInput = ImageInput | CaptionedImage;

function tilesOf(input: GridInput | readonly GridInput[], options: GridOptions): Tile[] {
  const tiles: Tile[] = [];
  for (const one of Array.isArray(input) ? (input as readonly GridInput[]) : [input as GridInput]) {
    const captioned: CaptionedImage = isTensor(one) || isImage(one) ? { image: one } : one;
    for (const image of imagesOf(captioned.image)) {
      const i = tiles.length;
      tiles.push({
        image,
        caption: captioned.caption ?? options.captions?.[i] ?? '',
        score: scoreText(captioned.score ?? options.scores?.[i]),
        highlight: captioned.highlight ?? false,
      });
    }
  }
  return tiles;
}

/** One image as an `<img>` with its bytes inside. */
export async function imageTag(image: ImageLike, size: number, alt: string): Promise<SafeHtml> {
  const factor = enlargement(image, size);
  const png = await pngOf(image, factor);
  return html`<img
    src="data:image/png;base64,${png.toString('base64')}"
    width="${image.width * factor}"
    height="${image.height * factor}"
    alt="${alt}"
  />`;
}

async function figure(tile: Tile, size: number): Promise<SafeHtml> {
  const width = tile.image.width * enlargement(tile.image, size);
  const frame = tile.highlight ? 'outline:3px solid #d97706;' : '';
  return html`<figure style="margin:0;width:${width}px;${frame}">
    ${await imageTag(tile.image, size, tile.caption)}
    <figcaption style="font-size:85%;line-height:1.3;overflow-wrap:anywhere">
      ${tile.caption}${tile.score ? html`${tile.caption ? html`<br />` : ''}<b>${tile.score}</b>` : ''}
    </figcaption>
  </figure>`;
}

/** The whole grid as one PNG, captions drawn beneath: for viewers without HTML and for files. */
async function sheet(tiles: readonly Tile[], columns: number, size: number): Promise<Buffer> {
  const gap = 8;
  const line = 14;
  const factors = tiles.map((tile) => enlargement(tile.image, size));
  const cellWidth = Math.max(...tiles.map((tile, i) => tile.image.width * factors[i]));
  const imageHeight = Math.max(...tiles.map((tile, i) => tile.image.height * factors[i]));
  const letters = Math.max(4, Math.floor(cellWidth / 6.2));
  const lines = tiles.map((tile) =>
    [...wrap(tile.caption, letters, 3), ...wrap(tile.score, letters, 2)].map((text) => plainText(text)),
  );
  const cellHeight = imageHeight + line * Math.max(0, ...lines.map((list) => list.length)) + 4;
  const rows = Math.ceil(tiles.length / columns);
  const width = columns * cellWidth + (columns + 1) * gap;
  const height = rows * cellHeight + (rows + 1) * gap;
  const place = (i: number): { left: number; top: number } => ({
    left: gap + (i % columns) * (cellWidth + gap),
    top: gap + Math.floor(i / columns) * (cellHeight + gap),
  });
  const texts = lines.flatMap((list, i) =>
    list.map(
      (text, row) =>
        `<text x="${place(i).left}" y="${place(i).top + imageHeight + line * (row + 1)}">${escapeHtml(text)}</text>`,
    ),
  );
  const frames = tiles.map((tile, i) =>
    tile.highlight
      ? `<rect x="${place(i).left - 2}" y="${place(i).top - 2}" width="${tile.image.width * factors[i] + 4}" height="${tile.image.height * factors[i] + 4}" fill="none" stroke="#d97706" stroke-width="3"/>`
      : '',
  );
  const overlay = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="11" fill="#222">${texts.join('')}${frames.join('')}</svg>`;
  const images = await Promise.all(tiles.map((tile, i) => pngOf(tile.image, factors[i])));
  return sharp({ create: { width, height, channels: 3, background: '#ffffff' } })
    .composite([
      ...images.map((input, i) => ({ input, ...place(i) })),
      { input: Buffer.from(overlay), left: 0, top: 0 },
    ])
    .png({ compressionLevel: 9 })
    .toBuffer();
}

/** Words into lines of at most `width` characters, at most `most` lines. */
function wrap(text: string, width: number, most: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(shorten(word, width));
  }
  return lines.length > most ? [...lines.slice(0, most - 1), shorten(lines.slice(most - 1).join(' '), width)] : lines;
}

/** What {@link imageGrid} says in plain text: one line for the grid, one a captioned image. */
function gridText(tiles: readonly Tile[], title: string | undefined): string {
  const sizes = new Set(tiles.map((tile) => `${tile.image.width} x ${tile.image.height}`));
  const head = `${title ? `${title}: ` : ''}${tiles.length} image${tiles.length === 1 ? '' : 's'} (${[...sizes].join(', ')})`;
  const said = tiles.flatMap((tile, i) =>
    tile.caption || tile.score
      ? [`  ${i + 1}. ${[tile.caption, tile.score && `[${tile.score}]`].filter(Boolean).join('  ')}`]
      : [],
  );
  return plainText([head, ...said].join('\n'));
}

/**
 * Images side by side, with captions and scores: as HTML, and as one PNG sheet for viewers without it.
 * @param input one image or image tensor (`[height, width, 3]` or `[n, height, width, 3]`, in [-1, 1]), or a list of
 *   images, tensors and {@link CaptionedImage}s. Tensors are read at once and may be disposed afterwards.
 * @throws RangeError for no image at all, for tensors of another shape, for bytes that do not fit the size
 */
export function imageGrid(input: GridInput | readonly GridInput[], options: GridOptions = {}): Display {
  const tiles = tilesOf(input, options);
  if (tiles.length === 0) throw new RangeError('imageGrid needs at least one image, got an empty list');
  const size = options.size ?? 160;
  const columns = Math.min(tiles.length, options.columns ?? 8);
  if (!Number.isInteger(columns) || columns < 1)
    throw new RangeError(`columns must be a positive integer, got ${options.columns}`);
  return new Display(gridText(tiles, options.title), async (): Promise<MimeBundle> => {
    const figures = await Promise.all(tiles.map((tile) => figure(tile, size)));
    const layout = options.columns
      ? `display:grid;grid-template-columns:repeat(${columns},max-content);gap:10px`
      : 'display:flex;flex-wrap:wrap;gap:10px';
    return {
      'text/html': html`<div>
        ${options.title ? html`<div style="margin-bottom:4px"><b>${options.title}</b></div>` : ''}
        <div style="${layout}">${figures}</div>
      </div>`.markup,
      'image/png': (await sheet(tiles, columns, size)).toString('base64'),
    };
  });
}
