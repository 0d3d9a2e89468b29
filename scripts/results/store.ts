/** Where runs leave their results, and how they are read back. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { type FinishedRun, readResults, type RunItems, type RunResult, summarize } from '../../src/eval';
import { writeFileAtomic } from '../../src/io/write-file';
import { HEADLINES, type ListedRun, nameOf } from './runs';
import { promptsFile } from './work';

/** Metrics of a step that curves are drawn of. */
const DRAWN = /^(step|reward|reward_std|kl|grad_norm|dsog\/(threshold|pass_rate|filled)|rewards\/.*\/mean)$/;

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

  /**
   * What figures draw of a run's steps: `curves/NAME.jsonl`, a line a step, numbers of five digits.
   * @param log the run's metrics.jsonl; a run without reinforcement has no reward in it, and leaves no curve
   */
  async writeCurve(run: ListedRun, log: string): Promise<void> {
    if (!existsSync(log)) return;
    const lines = readFileSync(log, 'utf8').split('\n').filter(Boolean);
    const rows = lines
      .map((line) => JSON.parse(line) as Record<string, number>)
      .filter(({ reward }) => reward !== undefined);
    if (rows.length === 0) return;
    const drawn = ([name, value]: [string, number]) => DRAWN.test(name) && Number.isFinite(value);
    const kept = rows.map((row) =>
      Object.fromEntries(
        Object.entries(row)
          .filter(drawn)
          .map(([name, value]) => [name, Number(value.toPrecision(5))]),
      ),
    );
    await mkdir(path.join(this.folder, 'curves'), { recursive: true });
    const text = kept.map((row) => `${JSON.stringify(row)}\n`).join('');
    await writeFileAtomic(path.join(this.folder, 'curves', `${nameOf(run)}.jsonl`), text);
  }

  /** The first images before and after a run, `images/NAME-before.png`, and their prompts. @param folder the run's */
  async writeSheets(run: ListedRun, folder: string): Promise<void> {
    await mkdir(path.join(this.folder, 'images'), { recursive: true });
    for (const when of ['before', 'after']) {
      const sheet = path.join(folder, `${when}.png`);
      if (!existsSync(sheet)) continue;
      await writeFileAtomic(path.join(this.folder, 'images', `${nameOf(run)}-${when}.png`), readFileSync(sheet));
    }
    const prompts = promptsFile(path.join(folder, 'before.json'));
    if (existsSync(prompts))
      await writeFileAtomic(path.join(this.folder, 'images', `${nameOf(run)}-prompts.json`), readFileSync(prompts));
  }

  /** Every finished run; other files of the folder are passed over. */
  read(): FinishedRun[] {
    return readResults(this.folder);
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
}
