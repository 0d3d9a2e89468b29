/** Figures for a paper: SVG, PDF with embedded fonts, and a LaTeX snippet with the caption, at a column's or page's width. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { writeFilesAtomic } from '../io/write-file';
import { escapeHtml } from './html';

/** Widths in points: a column and the text width of a two-column paper (ICML, CVPR and AAAI differ by a few points). */
export const FIGURE_WIDTHS = { column: 234, page: 486 } as const;

export interface FigureNote {
  /** File name without an ending: letters, digits, dashes. */
  readonly name: string;
  readonly caption: string;
  /** What made it, to be typed again. */
  readonly command: string;
  /** Files that its numbers stand in, relative to the project. */
  readonly sources: readonly string[];
  /** Said on the figure itself: what stands in for what, and at which scale. */
  readonly notes?: readonly string[];
  /** Default `page`. */
  readonly width?: keyof typeof FIGURE_WIDTHS;
}

const fontFamily = 'Arimo, Liberation Sans, Arial, Helvetica, sans-serif';
const noteSize = 6.5;

interface Drawn {
  readonly width: number;
  readonly height: number;
  /** What stands between `<svg ...>` and `</svg>`. */
  readonly content: string;
}

/** @throws Error for a text that is no SVG with a width and a height in user units */
function parts(svg: string): Drawn {
  const [, attributes = '', content = ''] = /<svg\b([^>]*)>([\s\S]*)<\/svg>\s*$/.exec(svg) ?? [];
  const size = (name: string) => Number(new RegExp(`\\b${name}="([\\d.]+)(?:px|pt)?"`).exec(attributes)?.[1]);
  const [width, height] = [size('width'), size('height')];
  if (!(width > 0 && height > 0))
    throw new Error(`a figure needs an SVG with width and height; got <svg${attributes}>`);
  return { width, height, content };
}

/** Lines of at most so many characters. */
function wrapped(text: string, most: number): string[] {
  const lines = [''];
  for (const word of text.split(/\s+/)) {
    const last = lines.length - 1;
    if (lines[last] && lines[last].length + 1 + word.length > most) lines.push(word);
    else lines[last] = lines[last] ? `${lines[last]} ${word}` : word;
  }
  return lines;
}

/** A drawing scaled to a figure's width, with its notes below it, and title and description for screen readers. */
export function figureSvg(svg: string, note: FigureNote): string {
  const drawn = parts(svg);
  const width = FIGURE_WIDTHS[note.width ?? 'page'];
  const scale = width / drawn.width;
  const lines = (note.notes ?? []).flatMap((text) => wrapped(text, Math.floor(width / (noteSize * 0.46))));
  const below = drawn.height * scale;
  const height = below + lines.length * (noteSize + 1.5) + (lines.length > 0 ? 4 : 0);
  const texts = lines.map(
    (line, i) => `<text x="4" y="${(below + (i + 1) * (noteSize + 1.5)).toFixed(1)}">${escapeHtml(line)}</text>`,
  );
  const size = `width="${width}pt" height="${height.toFixed(1)}pt" viewBox="0 0 ${width} ${height.toFixed(1)}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ${size} font-family="${fontFamily}">
<title>${escapeHtml(note.name)}</title>
<desc>${escapeHtml(`${note.caption} Made by: ${note.command}. Numbers from: ${note.sources.join(', ')}.`)}</desc>
<rect width="${width}" height="${height.toFixed(1)}" fill="white"/>
<g transform="scale(${scale.toFixed(5)})">${drawn.content}</g>
<g font-size="${noteSize}" fill="#555">${texts.join('')}</g>
</svg>
`;
}

/** A figure's SVG as PDF of the same size, text as text, fonts embedded. */
export async function pdfOf(svg: string, { name, caption, command }: FigureNote): Promise<Buffer> {
  const [{ default: PdfDocument }, { default: draw }] = await Promise.all([import('pdfkit'), import('svg-to-pdfkit')]);
  const { width, height } = parts(svg);
  const info = { Title: name, Subject: caption, Keywords: command, Creator: 'UniLab', CreationDate: new Date(0) };
  const document = new PdfDocument({ size: [width, height], margin: 0, info });
  const chunks: Buffer[] = [];
  const closed = new Promise<void>((resolve, reject) => {
    document.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', resolve);
    document.on('error', reject);
  });
  const inPoints = svg.replace(/(width|height)="([\d.]+)pt"/g, '$1="$2"'); // a unit would be converted
  draw(document, inPoints, 0, 0, {
    width,
    height,
    assumePt: true,
    fontCallback: (_family, bold, italic) => fontFile(bold, italic),
    warningCallback: (warning) => {
      throw new Error(`figure ${name} cannot be drawn as PDF: ${warning}`);
    },
  });
  document.end();
  await closed;
  return Buffer.concat(chunks);
}

function fontFile(bold: boolean, italic: boolean): string {
  const cut = `arimo-latin-${bold ? '700' : '400'}-${italic ? 'italic' : 'normal'}.woff`;
  return require.resolve(`@fontsource/arimo/files/${cut}`);
}

const latexSpecial: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
};
const latex = (text: string) => text.replace(/[\\~^]|[&%$#_{}]/g, (sign) => latexSpecial[sign] ?? `\\${sign}`);

function snippet({ name, caption, command, sources, width = 'page' }: FigureNote): string {
  const [environment, size] = width === 'page' ? ['figure*', '\\textwidth'] : ['figure', '\\columnwidth'];
  return `% ${command}\n% numbers: ${sources.join(', ')}
\\begin{${environment}}
  \\includegraphics[width=${size}]{${name}.pdf}
  \\caption{${latex(caption)}}
  \\label{fig:${name}}
\\end{${environment}}
`;
}

/**
 * Writes `NAME.svg`, `NAME.pdf` and `NAME.tex`, all or none.
 * @param svg from {@link figureSvg}
 * @throws Error for a name that is no plain file name
 */
export async function writeFigure(folder: string, svg: string, note: FigureNote): Promise<void> {
  if (!/^[a-z0-9][a-z0-9-]*$/.test(note.name))
    throw new Error(`a figure's name has small letters, digits and dashes; got '${note.name}'`);
  await mkdir(folder, { recursive: true });
  const pdf = await pdfOf(svg, note);
  const files = { svg, pdf, tex: snippet(note) };
  await writeFilesAtomic(
    Object.entries(files).map(([ending, data]) => ({
      file: path.join(folder, `${note.name}.${ending}`),
      write: (put) => put(Buffer.from(data)),
    })),
  );
}
