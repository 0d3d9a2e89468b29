/** Notebook files: nbformat 4, read with care and written whole. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** An output of a code cell as nbformat 4 has it. */
export type Output =
  | { output_type: 'stream'; name: string; text: string }
  | { output_type: 'display_data'; data: Record<string, unknown>; metadata: Record<string, unknown> }
  | {
      output_type: 'execute_result';
      data: Record<string, unknown>;
      metadata: Record<string, unknown>;
      execution_count: number | null;
    }
  | { output_type: 'error'; ename: string; evalue: string; traceback: string[] };

export interface Cell {
  id: string;
  cell_type: 'code' | 'markdown' | 'raw';
  source: string;
  metadata: Record<string, unknown> & { tags?: string[] };
  outputs: Output[];
  execution_count: number | null;
  /** Pictures of a Markdown cell by name, each a bundle. */
  attachments?: Record<string, Record<string, unknown>>;
}

export interface Notebook {
  cells: Cell[];
  metadata: Record<string, unknown> & { kernelspec?: { name?: string; display_name?: string; language?: string } };
}

/** A text of nbformat: one string, or a list of lines. */
function joined(text: unknown): string {
  return Array.isArray(text) ? text.join('') : typeof text === 'string' ? text : '';
}

/**
 * Reads a notebook. Earlier outputs are left out: it is about to be run.
 * @throws Error for a file that is missing, is no JSON, or is no notebook of format 4
 */
export function readNotebook(file: string): Notebook {
  let raw: { nbformat?: unknown; cells?: unknown; metadata?: unknown };
  try {
    raw = JSON.parse(readFileSync(file, 'utf8')) as typeof raw;
  } catch (error) {
    const reason =
      (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : (error as Error).message;
    throw new Error(`the notebook ${file} cannot be read: ${reason}`);
  }
  if (raw?.nbformat !== 4 || !Array.isArray(raw.cells)) {
    throw new Error(
      `${file} is no notebook of format 4 (it needs "nbformat": 4 and a list of cells); Jupyter can convert older ones`,
    );
  }
  const seen = new Set<string>();
  const cells = raw.cells.map((one: Record<string, unknown>, i): Cell => {
    const type = one?.cell_type;
    if (type !== 'code' && type !== 'markdown' && type !== 'raw') {
      throw new Error(`${file}: cell ${i + 1} has the unknown type ${JSON.stringify(type)}`);
    }
    let id = typeof one.id === 'string' && /^[\w-]{1,64}$/.test(one.id) ? one.id : '';
    if (!id || seen.has(id)) id = randomBytes(4).toString('hex');
    seen.add(id);
    const metadata = (one.metadata ?? {}) as Cell['metadata'];
    return {
      id,
      cell_type: type,
      source: joined(one.source),
      metadata,
      outputs: [],
      execution_count: null,
      attachments: one.attachments as Cell['attachments'],
    };
  });
  return { cells, metadata: (raw.metadata ?? {}) as Notebook['metadata'] };
}

/** Whether a cell carries a tag. */
export function hasTag(cell: Cell, tag: string): boolean {
  return Array.isArray(cell.metadata.tags) && cell.metadata.tags.includes(tag);
}

function lines(text: string): string[] {
  return text.split(/(?<=\n)/).filter((line) => line !== '');
}

/** Text data of a bundle as lists of lines, as nbformat writes them; JSON and base64 data as they are. */
function storedData(data: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(data).map(([type, value]): [string, unknown] => {
    const text =
      typeof value === 'string' && (type.startsWith('text/') || type.endsWith('+xml') || type.endsWith('/javascript'));
    return [type, text ? lines(value) : value];
  });
  return Object.fromEntries(entries);
}

function storedOutput(output: Output): object {
  if (output.output_type === 'stream') return { ...output, text: lines(output.text) };
  if (output.output_type === 'error') return output;
  return { ...output, data: storedData(output.data) };
}

function storedCell({ id, cell_type, source, metadata, outputs, execution_count, attachments }: Cell): object {
  const base = { id, cell_type, metadata, ...(attachments ? { attachments } : {}), source: lines(source) };
  return cell_type === 'code' ? { ...base, execution_count, outputs: outputs.map(storedOutput) } : base;
}

/** The notebook's file, format 4.5. */
export function notebookText(notebook: Notebook): string {
  const metadata = {
    ...notebook.metadata,
    kernelspec: { name: 'unilab', display_name: 'TypeScript (UniLab)', language: 'typescript' },
    language_info: { name: 'typescript', file_extension: '.ts', mimetype: 'text/typescript' },
  };
  return `${JSON.stringify({ cells: notebook.cells.map(storedCell), metadata, nbformat: 4, nbformat_minor: 5 }, null, 1)}\n`;
}
