/** Displays in a plain terminal: the text of each bundle, images and plots as files whose path is printed. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { writeFileAtomic } from '../io/write-file';
import type { DisplayTransport, MimeBundle } from './bundle';

/** Where a terminal keeps images: `UNILAB_DISPLAY_DIR`, by default `out/display` in the working folder. */
export function displayFolder(): string {
  return path.resolve(process.env.UNILAB_DISPLAY_DIR ?? path.join('out', 'display'));
}

/** Least time between two lines of the same live display where lines cannot be overwritten, in milliseconds. */
const quietFor = 10_000;

interface Shown {
  file?: string;
  printed: number;
  text: string;
}

/** Writes to standard output; live single lines are overwritten on a terminal, and thinned out in a log file. */
export class TerminalTransport implements DisplayTransport {
  private readonly shown = new Map<string, Shown>();
  private order: Promise<void> = Promise.resolve();
  private counter = 0;
  /** The id whose line the cursor still stands on. */
  private openLine?: string;

  /** @param out default: the process's standard output */
  constructor(private readonly out: Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'columns'> = process.stdout) {}

  show(bundle: Promise<MimeBundle>, id?: string): Promise<void> {
    return this.inTurn(bundle, async (content) => {
      const entry: Shown = { printed: 0, text: '' };
      if (id !== undefined) this.shown.set(id, entry);
      await this.print(entry, content, id, id === undefined);
    });
  }

  update(id: string, bundle: Promise<MimeBundle>, final: boolean): Promise<void> {
    return this.inTurn(bundle, async (content) => {
      const entry = this.shown.get(id) ?? { printed: 0, text: '' };
      this.shown.set(id, entry);
      await this.print(entry, content, id, final);
    });
  }

  clear(): Promise<void> {
    return Promise.resolve();
  }

  private inTurn(bundle: Promise<MimeBundle>, write: (content: MimeBundle) => Promise<void>): Promise<void> {
    bundle.catch(() => undefined); // reported below, in its turn
    const done = this.order.then(async () => write(await bundle));
    this.order = done.catch(() => undefined);
    return done;
  }

  private async print(entry: Shown, content: MimeBundle, id: string | undefined, final: boolean): Promise<void> {
    const file = await this.save(entry, content);
    const text =
      (typeof content['text/plain'] === 'string' ? content['text/plain'] : '') + (file ? `\n  -> ${file}` : '');
    const line = !text.includes('\n');
    if (this.out.isTTY && line && id !== undefined) {
      if (this.openLine !== undefined && this.openLine !== id) this.out.write('\n');
      this.out.write(`\r\u001b[2K${text.slice(0, (this.out.columns || 80) - 1)}${final ? '\n' : ''}`);
      this.openLine = final ? undefined : id;
      return;
    }
    const now = Date.now();
    if (entry.text === text || (!final && now - entry.printed < quietFor)) return;
    if (this.openLine !== undefined) this.out.write('\n');
    this.openLine = undefined;
    this.out.write(`${text}\n`);
    entry.printed = now;
    entry.text = text;
  }

  /** Writes the bundle's image, over the earlier one of the same display. @returns its path */
  private async save(entry: Shown, content: MimeBundle): Promise<string | undefined> {
    const png = content['image/png'];
    if (typeof png !== 'string') return undefined;
    if (!entry.file) {
      const folder = displayFolder();
      mkdirSync(folder, { recursive: true });
      this.counter += 1;
      entry.file = path.join(folder, `${process.pid}-${String(this.counter).padStart(3, '0')}.png`);
    }
    await writeFileAtomic(entry.file, Buffer.from(png, 'base64'));
    return path.relative(process.cwd(), entry.file);
  }
}
