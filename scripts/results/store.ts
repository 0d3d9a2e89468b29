/** Where runs leave their results, and how they are read back. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import {
  type FinishedRun,
  runItemsSchema,
  type RunItems,
  type RunResult,
  runResultSchema,
  summarize,
} from '../../src/eval';
import { writeFileAtomic } from '../../src/io/write-file';
import { HEADLINES, type ListedRun, nameOf } from './runs';

/** `data/results`, or the folder of a quick check. */
export class ResultStore {
  constructor(readonly folder: string) {}

  has(run: ListedRun): boolean {
    return existsSync(this.file(nameOf(run)));
  }

  /** Items first: a run whose `NAME.json` is there is finished. */
  async write(run: ListedRun, result: RunResult, items: RunItems): Promise<void> {
    await mkdir(path.join(this.folder, 'items'), { recursive: true });
    await writeFileAtomic(this.itemsFile(nameOf(run)), `${JSON.stringify(items)}\n`);
    await writeFileAtomic(this.file(nameOf(run)), `${JSON.stringify(result, null, 1)}\n`);
  }

  /** Every finished run; other files of the folder are passed over. */
  read(): FinishedRun[] {
    if (!existsSync(path.join(this.folder, 'items'))) return [];
    return readdirSync(path.join(this.folder, 'items'))
      .filter((file) => file.endsWith('.json') && existsSync(path.join(this.folder, file)))
      .map((file) => ({
        result: this.parsed(path.join(this.folder, file), (data) => runResultSchema.parse(data)),
        items: this.parsed(path.join(this.folder, 'items', file), (data) => runItemsSchema.parse(data)),
      }));
  }

  /** Pools what is there. */
  async writeSummary(): Promise<ReturnType<typeof summarize>> {
    const summary = summarize(this.read(), HEADLINES);
    await writeFileAtomic(path.join(this.folder, 'summary.json'), `${JSON.stringify(summary, null, 1)}\n`);
    return summary;
  }

  private file(name: string): string {
    return path.join(this.folder, `${name}.json`);
  }

  private itemsFile(name: string): string {
    return path.join(this.folder, 'items', `${name}.json`);
  }

  /** @throws Error naming the file */
  private parsed<T>(file: string, parse: (data: unknown) => T): T {
    try {
      return parse(JSON.parse(readFileSync(file, 'utf8')));
    } catch (error) {
      throw new Error(`${file} is no result of a run: ${(error as Error).message}`, { cause: error });
    }
  }
}
