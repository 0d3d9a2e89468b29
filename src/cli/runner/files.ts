/** What a run leaves on the disk: the executed notebook and its page, written again and again while it runs. */
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { writeFileAtomic } from '../../io/write-file';
import { notebookHtml } from './html';
import { type Notebook, notebookText } from './notebook';

/** A run that is killed in a long cell loses at most so much of its output, in milliseconds. */
const whileRunning = 30_000;
/** The page takes at most this share of a run: a large one is not written after each of many quick cells. */
const pageShare = 0.1;

export interface RunFileOptions {
  readonly out: string;
  readonly html?: string;
  /** The page's title. */
  readonly title: string;
  /** Hears, once, that the files cannot be written while the notebook runs. */
  readonly onFailure: (error: Error) => void;
}

export class RunFiles {
  private saving: Promise<void> = Promise.resolve();
  private timer?: NodeJS.Timeout;
  private written = new Map<string, string>();
  private nextPage = 0;
  private failed = false;

  constructor(
    private readonly notebook: Notebook,
    private readonly options: RunFileOptions,
  ) {}

  /** The first cell begins: from now on there is something to save. */
  begin(): void {
    this.timer = setInterval(() => void this.update(), whileRunning).unref();
  }

  /** Saves what there is, after a cell. A disk that is full then need not end the run; {@link finish} says whether it was. */
  update(): Promise<void> {
    this.saving = this.saving
      .then(() => this.save(false))
      .catch((error: Error) => {
        if (!this.failed) this.options.onFailure(error);
        this.failed = true;
      });
    return this.saving;
  }

  /** Saves the end. @throws Error when a file cannot be written */
  async finish(): Promise<void> {
    clearInterval(this.timer);
    await this.saving;
    await this.save(true);
  }

  private async save(last: boolean): Promise<void> {
    const { out, html, title } = this.options;
    await this.write(out, notebookText(this.notebook), last);
    const begun = performance.now();
    if (html === undefined || (!last && begun < this.nextPage)) return;
    await this.write(html, await notebookHtml(this.notebook, title), last);
    const ended = performance.now();
    this.nextPage = ended + (ended - begun) / pageShare;
  }

  private async write(file: string, text: string, last: boolean): Promise<void> {
    // A pipe or a device gets the end alone.
    if (!last && statSync(file, { throwIfNoEntry: false })?.isFile() === false) return;
    if (this.written.get(file) === text) return;
    mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
    await writeFileAtomic(file, text);
    this.written.set(file, text);
  }
}
