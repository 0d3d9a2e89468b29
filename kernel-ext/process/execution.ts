/** Executes requests one after the other: the cell, its displays, its result, and the request that its output answers. */
import type { CellRunner, Outcome } from './cell-runner';
import { failureOf } from './errors';
import type { History } from '../protocol/history';
import type { OutputQueue } from '../protocol/output-queue';
import { flushLive, type MimeBundle, renderValue } from './render';
import { type Header, type Json, type Message, textOf } from '../protocol/messages';

/** A run of a cell: whom output belongs to, also what comes of its timers and promises after it has ended. */
interface Running {
  readonly request: Message;
  readonly silent: boolean;
  /** Displays of the cell that are on their way; one that fails, fails the cell. */
  readonly displays: Promise<void>[];
}

export class Execution {
  private running?: Running;
  /** Whom output of the kernel itself belongs to. */
  private last?: Running;
  private executionCount = 0;

  constructor(
    private readonly cells: CellRunner,
    private readonly output: OutputQueue,
    private readonly history: History,
  ) {}

  /** The request that is being executed. */
  get request(): Message | undefined {
    return this.running?.request;
  }

  /** Cells counted so far. */
  get count(): number {
    return this.executionCount;
  }

  /** The run whose code writes or shows something right now: the cell's that started it, else the last one. */
  private get owner(): Running | undefined {
    return (this.cells.gate.owner as Running | undefined) ?? this.last;
  }

  /** The message that output now answers. */
  get parent(): Partial<Header> {
    return this.owner?.request.header ?? {};
  }

  /** Runs an execute_request. @returns the content of its reply, once all output has left */
  async execute(request: Message): Promise<Json> {
    const { content } = request;
    const code = textOf(content.code);
    const silent = content.silent === true;
    const stored = !silent && content.store_history !== false;
    if (stored) this.executionCount += 1;
    const count = this.executionCount;
    const running: Running = { request, silent, displays: [] };
    this.running = running;
    this.last = running;
    if (!silent) this.output.push('execute_input', { code, execution_count: count }, request.header);

    try {
      const { outcome, text } = await this.runAndShow(running, code, count);
      if (outcome.status === 'error' && !silent) this.output.push('error', { ...outcome.failure }, request.header);
      if (stored) this.history.add(count, code, text);
      const expressions = outcome.status === 'ok' ? await this.userExpressions(running, content.user_expressions) : {};
      await this.output.drained();
      const rest = { execution_count: count, user_expressions: expressions, payload: [] };
      return outcome.status === 'ok' ? { status: 'ok', ...rest } : { status: 'error', ...outcome.failure, ...rest };
    } finally {
      this.running = undefined;
    }
  }

  /** Runs the cell, waits for its displays and publishes its value. @returns how it ended, and the text of its value */
  private async runAndShow(
    running: Running,
    code: string,
    count: number,
  ): Promise<{ readonly outcome: Outcome; readonly text?: string }> {
    const first = await this.cells.run(code, `cell-${count}`, running);
    const value = first.status === 'ok' && first.value ? this.render(first.value.value) : undefined;
    value?.catch(() => undefined); // reported below
    const outcome = await this.settleDisplays(running, first);
    if (outcome.status === 'error' || !value) return { outcome };
    try {
      const data = await value;
      const content = { execution_count: count, data, metadata: {} };
      if (!running.silent) this.output.push('execute_result', content, running.request.header);
      return { outcome, text: textOf(data['text/plain']) };
    } catch (error) {
      return { outcome: { status: 'error', failure: failureOf(error, this.cells.compiler.codeMap) } };
    }
  }

  /** The bundle of a value. Rejected, never thrown, where the value's own code fails. */
  private render(value: unknown): Promise<MimeBundle> {
    try {
      return renderValue(value);
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Waits for the cell's displays and brings live ones into their final state; a failing one fails the cell. */
  private async settleDisplays(running: Running, outcome: Outcome): Promise<Outcome> {
    const failures: unknown[] = [];
    const note = (result: PromiseSettledResult<void>): void =>
      void (result.status === 'rejected' && failures.push(result.reason));
    (await flushLive()).forEach(note);
    // Displays may bring more displays.
    for (let seen = 0; seen < running.displays.length;) {
      const batch = running.displays.slice(seen);
      seen = running.displays.length;
      (await Promise.allSettled(batch)).forEach(note);
    }
    if (outcome.status === 'error' || failures.length === 0) return outcome;
    return { status: 'error', failure: failureOf(failures[0], this.cells.compiler.codeMap) };
  }

  private async userExpressions(running: Running, asked: unknown): Promise<Json> {
    const results: Record<string, object> = {};
    for (const [name, expression] of Object.entries((asked ?? {}) as Record<string, unknown>)) {
      const outcome = await this.cells.run(`(${String(expression)}\n)`, 'user-expression', running);
      if (outcome.status === 'error') {
        results[name] = { status: 'error', ...outcome.failure };
        continue;
      }
      try {
        const data = outcome.value ? await this.render(outcome.value.value) : { 'text/plain': 'undefined' };
        results[name] = { status: 'ok', data, metadata: {} };
      } catch (error) {
        results[name] = { status: 'error', ...failureOf(error, this.cells.compiler.codeMap) };
      }
    }
    return results;
  }

  /** Text that a cell, or what it has started, wrote. */
  write(name: 'stdout' | 'stderr', text: string): void {
    if (!this.owner?.silent) this.output.write(name, text, this.parent);
  }

  /** A display of a cell. The promise settles when it was sent. */
  show(type: 'display_data' | 'update_display_data', bundle: Promise<MimeBundle>, id?: string): Promise<void> {
    const { owner } = this;
    if (owner?.silent) return bundle.then(() => undefined);
    const transient = id === undefined ? {} : { display_id: id };
    const content = bundle.then((data): Json => ({ data, metadata: {}, transient }));
    const sent = this.output.pushLater(type, content, this.parent);
    if (owner && owner === this.running) {
      owner.displays.push(sent);
      sent.catch(() => undefined); // the cell looks at it when it ends
    }
    return sent;
  }

  /** Clears the output of the cell that asks for it. */
  clear(wait: boolean): void {
    if (!this.owner?.silent) this.output.push('clear_output', { wait }, this.parent);
  }
}
