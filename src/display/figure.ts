/** A figure as a paper has it: the drawing, what it says of itself, and files to put into a manuscript. */
import sharp from 'sharp';
import { Display, type MimeBundle } from './bundle';
import { FIGURE_WIDTHS, figureSvg, type FigureNote, writeFigure } from './figure-files';
import { figureNumbers, numberLine } from './figure-numbers';
import { escapeHtml, html } from './html';
import { type ImageLike, pngOf } from './images';
import { pngOfSvg, svgOf, type VegaLiteSpec } from './plot';
import { PRINT } from './charts';

/**
 * Draws a figure, and writes it as SVG, PDF and LaTeX snippet when a folder is given.
 * @param drawing a vega-lite specification, or an SVG with width and height in user units
 * @returns what a notebook shows: the drawing with its caption, sources, command and numbers
 */
export async function figure(drawing: VegaLiteSpec | string, note: FigureNote, folder?: string): Promise<Display> {
  const drawn = typeof drawing === 'string' ? drawing : await svgOf({ config: PRINT, ...drawing });
  const svg = figureSvg(drawn, note);
  if (folder) await writeFigure(folder, svg, note);
  const numbers = typeof drawing === 'string' ? [] : figureNumbers(drawing).map(numberLine);
  const text = [`Figure ${note.name}: ${note.caption}`, ...numbers].join('\n');
  return new Display(text, async (): Promise<MimeBundle> => {
    const drawn = await sharp(await pngOfSvg(svg))
      .png({ palette: true, effort: 8 })
      .toBuffer(); // a third of the size
    const png = drawn.toString('base64');
    const caption = html`<figcaption style="max-width:730px;font-size:90%">
      <b>${note.name}.</b> ${note.caption}<br /><small
        >Numbers: ${note.sources.join(', ')}. Made by <code>${note.command}</code></small
      >
    </figcaption>`;
    const image = html`<img alt="${note.caption}" src="data:image/png;base64,${png}" style="max-width:100%" />`;
    const listed =
      numbers.length > 0
        ? html`<details>
            <summary>numbers of ${note.name}</summary>
            <pre>${numbers.join('\n')}</pre>
          </details>`
        : '';
    return { 'text/html': String(html`<figure style="margin:0">${image}${caption}${listed}</figure>`) };
  });
}

/** A cell of {@link gridFigure}. */
export interface GridCell {
  readonly image?: ImageLike;
  /** Under the image; in place of it where there is none. */
  readonly text?: string;
}

export interface GridFigureOptions {
  /** Above the columns. */
  readonly columns: readonly string[];
  readonly rows: readonly { readonly label: string; readonly cells: readonly GridCell[] }[];
  /** A cell's width in points. Default: what fills 486 points. Rows are as high as their highest image. */
  readonly cell?: number;
}

const label = 92;

/** Images in rows and columns, with texts, as SVG: for figures of what models draw. */
export async function gridFigure({
  columns,
  rows,
  cell = (486 - label) / columns.length - 4,
}: GridFigureOptions): Promise<string> {
  const [line, pitch] = [9, cell + 4];
  const width = Math.max(FIGURE_WIDTHS.page, label + columns.length * pitch);
  const text = (x: number, y: number, said: string, anchor = 'middle', size = 7) =>
    `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" font-size="${size}" text-anchor="${anchor}">${escapeHtml(said)}</text>`;
  const parts = columns.map((name, c) => text(label + (c + 0.5) * pitch, 9, name));
  let y = 14;
  for (const row of rows) {
    const said = lines(row.label, 22);
    said.forEach((one, l) => parts.push(text(2, y + 9 + l * 8.5, one, 'start')));
    const drawn = await Promise.all(row.cells.map(async ({ image }) => image && (await inWidth(image, cell))));
    const high = Math.max(9 + said.length * 8.5, ...drawn.map((one) => one?.height ?? 0));
    for (const [c, { text: below = '' }] of row.cells.entries()) {
      const x = label + c * pitch + 2;
      const image = drawn[c];
      if (image) {
        const place = `x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${cell.toFixed(1)}" height="${image.height.toFixed(1)}"`;
        parts.push(`<image ${place} xlink:href="data:image/png;base64,${image.png.toString('base64')}"/>`);
      }
      parts.push(text(x + cell / 2, y + (image ? image.height + 7 : high / 2), below, 'middle', 6));
    }
    y += high + 4 + line;
  }
  const height = Math.ceil(y);
  return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${width}" height="${height}">${parts.join('')}</svg>`;
}

/** An image, and its height in points when it is so many wide. */
async function inWidth(image: ImageLike, width: number): Promise<{ readonly png: Buffer; readonly height: number }> {
  const png = await pngOf(image, 2);
  const size = await sharp(png).metadata();
  return { png, height: (width * size.height) / size.width };
}

function lines(said: string, most: number): string[] {
  const out = [''];
  for (const word of said.split(' ')) {
    const last = out.length - 1;
    if (out[last] && out[last].length + word.length >= most) out.push(word);
    else out[last] = out[last] ? `${out[last]} ${word}` : word;
  }
  return out;
}
