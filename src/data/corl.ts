/** Data with the fields of CoRL (real_image, prompt, qa_problem, qa_solution, qa_type) as JSON lines beside images. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** One line of the file. */
export interface CorlRecord {
  /** image file; written as a path from the file's folder, read as an absolute path */
  readonly real_image: string;
  readonly prompt: string;
  readonly qa_problem: string;
  readonly qa_solution: string;
  readonly qa_type: string;
  /** what a data set knows beyond that, for evaluation */
  readonly scene?: unknown;
}

const FIELDS = ['real_image', 'prompt', 'qa_problem', 'qa_solution', 'qa_type'] as const;

/**
 * Reads a file of CoRL's fields.
 * @throws Error naming file, line and field when one is missing or no text, or when an image is not there
 */
export function readCorl(file: string): CorlRecord[] {
  if (!existsSync(file)) throw new Error(`${file}: the file is missing`);
  const out: CorlRecord[] = [];
  for (const [i, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (line.trim() === '') continue;
    const at = `${file}:${i + 1}`;
    let record: Record<string, unknown>;
    try {
      record = JSON.parse(line) as Record<string, unknown>;
    } catch (error) {
      throw new Error(`${at}: not a line of JSON (${(error as Error).message})`);
    }
    for (const field of FIELDS) {
      if (typeof record?.[field] !== 'string') {
        throw new Error(`${at}: field '${field}' should be a text, got ${JSON.stringify(record?.[field])}`);
      }
    }
    const real_image = path.resolve(path.dirname(file), String(record.real_image));
    if (!existsSync(real_image)) throw new Error(`${at}: field 'real_image': there is no image ${real_image}`);
    out.push({ ...(record as unknown as CorlRecord), real_image });
  }
  return out;
}
