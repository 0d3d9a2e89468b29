/** Notebooks that tests write. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

interface Output {
  readonly output_type: string;
  readonly name?: string;
  readonly text?: string | string[];
  readonly ename?: string;
  readonly evalue?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface Cell {
  readonly cell_type: string;
  readonly source: string | string[];
  readonly outputs?: readonly Output[];
  readonly execution_count?: number | null;
  readonly metadata: { readonly tags?: readonly string[] };
}

export interface Notebook {
  readonly cells: readonly Cell[];
}

export function readCells(file: string): readonly Cell[] {
  return (JSON.parse(readFileSync(file, 'utf8')) as Notebook).cells;
}

/** Writes a notebook for our kernel. Sources that begin with `%md` are Markdown. */
export function writeNotebook(file: string, sources: readonly string[]): void {
  const cells = sources.map((source, i) => {
    const common = { id: `cell-${i}`, metadata: {} };
    return source.startsWith('%md')
      ? { ...common, cell_type: 'markdown', source: source.slice(3).trimStart() }
      : { ...common, cell_type: 'code', source, outputs: [], execution_count: null };
  });
  const kernelspec = { name: 'unilab', display_name: 'TypeScript (UniLab)', language: 'typescript' };
  writeFileSync(file, JSON.stringify({ cells, metadata: { kernelspec }, nbformat: 4, nbformat_minor: 5 }));
}

function joined(text: unknown): string {
  if (Array.isArray(text)) return text.join('');
  return typeof text === 'string' ? text : '';
}

/** Progress lines tell times and rates, which no two runs share. */
function withoutTimes(text: string): string {
  return /[━─]{20} /.test(text) ? text.replace(/\d+(\.\d+)?\/s|\d+(\.\d+)? s( each)?|\d+:\d\d(:\d\d)?/g, '#') : text;
}

/** A view that only a living page can draw: our runner leaves it out of the file. */
export const WIDGET = 'application/vnd.jupyter.widget-view+json';

/** The outputs of a cell as texts to compare; pieces of one stream in a row count as one. */
export function outputsOf(cell: Cell): string[] {
  const said: { readonly head: string; text: string }[] = [];
  for (const output of cell.outputs ?? []) {
    if (output.output_type === 'stream') {
      const head = `stream ${output.name}: `;
      const last = said.at(-1);
      if (last?.head === head) last.text += joined(output.text);
      else said.push({ head, text: joined(output.text) });
    } else if (output.output_type === 'error')
      said.push({ head: 'error: ', text: `${output.ename}: ${output.evalue}` });
    else {
      const data = output.data ?? {};
      const plain = withoutTimes(joined(data['text/plain']));
      // Images are compared by their bytes; HTML of progress bars holds times.
      const images = ['image/png', 'image/svg+xml'].map((type) => joined(data[type]).trim()).join('|');
      const exact = createHash('sha256').update(images).digest('hex').slice(0, 12);
      const types = Object.keys(data).filter((type) => type !== WIDGET);
      said.push({ head: `${output.output_type} ${types.sort().join(' ')} ${exact}: `, text: plain });
    }
  }
  return said.map(({ head, text }) => head + text);
}
