/** What was run, in this session and earlier ones: kept as JSON lines, one a cell. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { appendFile, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { textOf } from './messages';

/** One run cell: session number, line number within it, code, and the text of its result. */
export interface HistoryEntry {
  readonly session: number;
  readonly line: number;
  readonly input: string;
  readonly output?: string;
}

/** An entry in the protocol's form, with the output if the request wants it. */
export type HistoryRow = [session: number, line: number, input: string | [string, string | null]];

/** At most this much of the end of the file is read, in bytes. */
const readAtMost = 8 << 20;

/** `UNILAB_HISTORY` names the file; `off` keeps history in memory only. */
function historyFile(): string | undefined {
  const own = process.env.UNILAB_HISTORY;
  if (own === 'off') return undefined;
  const base = process.env.XDG_STATE_HOME ?? path.join(homedir(), '.local', 'state');
  return own ?? path.join(base, 'unilab', 'history.jsonl');
}

/** `*` and `?` as in file names. */
function matcher(pattern: string): RegExp {
  const body = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '[\\s\\S]*')
    .replace(/\?/g, '[\\s\\S]');
  return new RegExp(`^${body}$`);
}

export class History {
  private readonly file = historyFile();
  private readonly own: HistoryEntry[] = [];
  private earlier?: readonly HistoryEntry[];
  private sessionNumber?: number;
  private written: Promise<unknown> = Promise.resolve();
  private folderMade = false;
  /** Put before the next line: a write that failed, on a full disk, may have left half of one. */
  private separator = '';

  /** Remembers a cell; it is written while the next one may run. A file that cannot be written costs the history alone. */
  add(line: number, input: string, output?: string): void {
    const entry = { session: this.session(), line, input, output };
    this.own.push(entry);
    const { file } = this;
    if (!file) return;
    const write = async (): Promise<void> => {
      if (!this.folderMade) await mkdir(path.dirname(file), { recursive: true });
      this.folderMade = true;
      await appendFile(file, `${this.separator}${JSON.stringify(entry)}\n`, { mode: 0o600 });
      this.separator = '';
    };
    // One after the other; a read-only home is no reason to fail.
    this.written = this.written.then(write).catch(() => (this.separator = '\n'));
  }

  /** Settles when everything remembered so far has been written. */
  async flush(): Promise<void> {
    await this.written;
  }

  private session(): number {
    return (this.sessionNumber ??= this.past().reduce((most, entry) => Math.max(most, entry.session), 0) + 1);
  }

  private past(): readonly HistoryEntry[] {
    if (this.earlier) return this.earlier;
    const entries: HistoryEntry[] = [];
    for (const line of this.tail().split('\n')) {
      try {
        const entry = JSON.parse(line) as HistoryEntry;
        if (Number.isInteger(entry.session) && typeof entry.input === 'string') entries.push(entry);
      } catch {
        // a line cut in two, by a crash or by where reading began
      }
    }
    return (this.earlier = entries);
  }

  private tail(): string {
    if (!this.file) return '';
    try {
      const handle = openSync(this.file, 'r');
      try {
        const { size } = fstatSync(handle);
        const buffer = Buffer.alloc(Math.min(size, readAtMost));
        readSync(handle, buffer, 0, buffer.length, size - buffer.length);
        return buffer.toString();
      } finally {
        closeSync(handle);
      }
    } catch {
      return '';
    }
  }

  /** Answers a history_request: `range` of a session, the `tail`, or a `search` with `*` and `?`. */
  query(request: Readonly<Record<string, unknown>>): HistoryRow[] {
    const all = [...this.past(), ...this.own];
    const count = Number(request.n ?? 0);
    const last = (entries: readonly HistoryEntry[]): readonly HistoryEntry[] =>
      count > 0 ? entries.slice(-count) : entries;
    let found: readonly HistoryEntry[];
    if (request.hist_access_type === 'range') {
      const asked = Number(request.session ?? 0);
      const session = asked <= 0 ? this.session() + asked : asked;
      const [start, stop] = [Number(request.start ?? 0), Number(request.stop ?? Infinity)];
      found = all.filter((one) => one.session === session && one.line >= start && one.line < stop);
    } else if (request.hist_access_type === 'search') {
      const pattern = matcher(textOf(request.pattern, '*'));
      const hits = all.filter((one) => pattern.test(one.input));
      const seen = new Set<string>();
      const unique = [...hits]
        .reverse()
        .filter((one) => !seen.has(one.input) && seen.add(one.input))
        .reverse();
      found = last(request.unique ? unique : hits);
    } else {
      found = last(all);
    }
    return found.map((one) => [one.session, one.line, request.output ? [one.input, one.output ?? null] : one.input]);
  }
}
