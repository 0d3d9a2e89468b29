/** Runs a notebook's cells in a kernel of its own, and never takes for a pass what was none. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { rejectedBy } from '../../../kernel-ext/protocol/abort';
import { KernelClient, KernelDied } from '../../../kernel-ext/protocol/client';
import type { Request } from '../../../kernel-ext/protocol/requests';
import type { Message } from '../../../kernel-ext/protocol/messages';
import { type Cell, hasTag, type Notebook } from './notebook';
import { OutputCollector } from './outputs';

/** Why a run failed. `cell` counts all cells from 1, as people see them; `code` counts code cells. */
export interface RunFailure {
  readonly reason: 'error' | 'timeout' | 'dead' | 'no-idle' | 'skipped' | 'start' | 'stray' | 'stopped' | 'save';
  readonly message: string;
  readonly cell?: number;
  readonly source?: string;
  readonly traceback?: readonly string[];
}

export interface CellReport {
  /** Counted from 1 over all cells of the notebook. */
  readonly cell: number;
  readonly status: 'ok' | 'failed' | 'expected error' | 'skip-execution';
  readonly seconds: number;
}

export interface ExecuteOptions {
  /** The kernelspec's command. */
  readonly argv: readonly string[];
  /** Longest time for one cell, in seconds; 0: no limit. */
  readonly timeout: number;
  /** Longest time until the kernel answers, in seconds. */
  readonly startTimeout: number;
  /** Hears each cell that has ended; the next one waits for it. */
  readonly onCell?: (report: CellReport, of: number, cell: Cell) => void | Promise<void>;
  /** Hears that the kernel is there and the first cell begins. */
  readonly onBegin?: () => void;
  /** Aborted with an error: the running cell is interrupted, and the run ends with that error. */
  readonly signal?: AbortSignal;
}

export interface RunResult {
  readonly cells: readonly CellReport[];
  readonly failure?: RunFailure;
}

/** After a reply, how long its `idle` may take; after a time-out, how long an interrupt may take. In milliseconds. */
const replyTimeout = 10_000;

/** How long what a dead kernel had sent may be on its way, in milliseconds. */
const deathDelay = 200;

class Failed extends Error {
  constructor(readonly failure: RunFailure) {
    super(failure.message);
  }
}

async function within<T>(milliseconds: number, promise: Promise<T>, late: () => Error): Promise<T> {
  if (milliseconds <= 0) return promise;
  let alarm: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => (alarm = setTimeout(() => reject(late()), milliseconds)));
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(alarm);
  }
}

/**
 * Runs the code cells in order, in the notebook's folder, and gathers their outputs into the notebook given. Stops at
 * the first failure. Cells tagged `skip-execution` are left out; a cell tagged `raises-exception` may fail.
 * @returns never rejects for what a notebook does
 */
export async function executeNotebook(notebook: Notebook, file: string, options: ExecuteOptions): Promise<RunResult> {
  let client: KernelClient;
  try {
    client = await KernelClient.start({
      argv: options.argv,
      cwd: path.dirname(path.resolve(file)),
      env: { UNILAB_HISTORY: 'off' },
      timeout: options.startTimeout * 1000,
      signal: options.signal,
    });
  } catch (error) {
    if (options.signal?.aborted) return { cells: [], failure: asFailure(error, options.signal) };
    const message = `the kernel did not start: ${(error as Error).message}`;
    return { cells: [], failure: { reason: 'start', message } };
  }
  const reports: CellReport[] = [];
  try {
    options.onBegin?.();
    const failure = (await runCells(client, notebook, reports, options)) ?? (await lastWord(client));
    return failure ? { cells: reports, failure } : { cells: reports };
  } finally {
    await client.shutdown();
  }
}

/** @returns why the run failed, if it did */
async function runCells(
  client: KernelClient,
  notebook: Notebook,
  reports: CellReport[],
  options: ExecuteOptions,
): Promise<RunFailure | undefined> {
  const collector = new OutputCollector();
  const owners = new Map<string, Cell>();
  client.onMessage((message) => {
    const owner = owners.get(message.parent.msg_id ?? '');
    if (owner) collector.take(owner, message);
  });
  const stopped = rejectedBy(options.signal);
  stopped.catch(() => undefined); // heard while a cell runs
  for (const [i, cell] of notebook.cells.entries()) {
    if (cell.cell_type !== 'code' || cell.source.trim() === '') continue;
    const begun = performance.now();
    const report = async (status: CellReport['status']): Promise<void> => {
      const entry = { cell: i + 1, status, seconds: (performance.now() - begun) / 1000 };
      reports.push(entry);
      await options.onCell?.(entry, notebook.cells.length, cell);
    };
    if (hasTag(cell, 'skip-execution')) {
      await report('skip-execution');
      continue;
    }
    try {
      const failed = await runCell(client, cell, { owners, stopped, timeout: options.timeout });
      await report(failed ? 'expected error' : 'ok');
    } catch (error) {
      const failure = asFailure(error, options.signal);
      // What the kernel had sent before it died is still on its way.
      if (failure.reason === 'dead') await sleep(deathDelay);
      noteInCell(cell, failure);
      await report('failed');
      return { ...failure, cell: i + 1, source: cell.source };
    }
  }
  return undefined;
}

function asFailure(error: unknown, signal?: AbortSignal): RunFailure {
  if (error instanceof Failed) return error.failure;
  const stopped = signal?.aborted && error === signal.reason;
  const reason = stopped ? 'stopped' : error instanceof KernelDied ? 'dead' : 'error';
  return { reason, message: error instanceof Error ? error.message : String(error) };
}

/** What did not come from the kernel itself is written into the notebook, too. */
function noteInCell(cell: Cell, failure: RunFailure): void {
  if (failure.reason === 'error') return;
  cell.outputs.push({
    output_type: 'error',
    ename: `run: ${failure.reason}`,
    evalue: failure.message,
    traceback: [failure.message],
  });
}

interface CellContext {
  /** Whom the output of a request belongs to. */
  readonly owners: Map<string, Cell>;
  /** Rejected when the run is to end. */
  readonly stopped: Promise<never>;
  /** In seconds; 0: no limit. */
  readonly timeout: number;
}

/** @returns whether the cell failed and was allowed to */
async function runCell(client: KernelClient, cell: Cell, { owners, stopped, timeout }: CellContext): Promise<boolean> {
  const mayFail = hasTag(cell, 'raises-exception');
  const request = client.execute(cell.source, { stop_on_error: !mayFail });
  owners.set(request.id, cell);
  let reply: Message;
  try {
    const late = (): Error => new Failed({ reason: 'timeout', message: `the cell ran longer than ${timeout} s` });
    reply = await within(timeout * 1000, Promise.race([request.reply, stopped]), late);
  } catch (error) {
    // What the cell shows when it is interrupted belongs into the notebook; it need not obey.
    if (!(error instanceof KernelDied)) await interrupt(client, request);
    throw error;
  }
  const { status } = reply.content;
  const late = (): Error =>
    new Failed({
      reason: 'no-idle',
      message: 'the kernel answered but never said that it is idle, so output may be missing',
    });
  await within(replyTimeout, request.idle, late);
  if (status === 'ok') return false;
  if (status === 'error') {
    if (mayFail) return true;
    const { ename, evalue, traceback } = reply.content as { ename: string; evalue: string; traceback: string[] };
    throw new Failed({ reason: 'error', message: `${ename}: ${evalue}`, traceback });
  }
  throw new Failed({ reason: 'skipped', message: `the kernel did not run the cell (it answered '${String(status)}')` });
}

/** Interrupts a cell, a second time where it never yields. */
async function interrupt(client: KernelClient, request: Request): Promise<void> {
  for (let times = 0; times < 2; times++) {
    client.interrupt();
    const late = (): Error => new Error('not interrupted');
    const obeyed = within(replyTimeout / 4, request.idle, late).then(
      () => true,
      () => false,
    );
    if (await obeyed) return;
  }
}

/** After the last cell: whether something that was still running failed with nobody to handle it. */
async function lastWord(client: KernelClient): Promise<RunFailure | undefined> {
  try {
    const request = client.execute('', { silent: true, store_history: false });
    const { content } = await within(
      replyTimeout,
      request.reply,
      () => new Error('the kernel no longer answered after the last cell'),
    );
    if (content.status === 'ok') return undefined;
    const message = `after the last cell: ${String(content.ename)}: ${String(content.evalue)}`;
    return { reason: 'stray', message, traceback: (content.traceback as string[]) ?? [] };
  } catch (error) {
    return { ...asFailure(error), message: `after the last cell: ${(error as Error).message}` };
  }
}
