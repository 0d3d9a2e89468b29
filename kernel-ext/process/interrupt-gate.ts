/**
 * Interrupting cells, and telling which cell code belongs to. An interrupt ends the awaits of a cell, the innermost
 * first: a caller's await goes on waiting until what it called has cleaned up, so that every `catch` and `finally` runs,
 * with the awaits in them, before the cell ends.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AsyncContext } from './async-context';

/** Thrown at the awaits of a cell that was interrupted. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  constructor() {
    super('the cell was interrupted');
  }
}

/** One run of a cell. `owner` is whom its output belongs to. */
interface CellRun {
  readonly owner: unknown;
  /** Its awaits were ended: what it awaits from now on is cleaning up. */
  interrupted: boolean;
}

/** An await that an interrupt can end. */
interface Wait {
  readonly reject: (error: Interrupted) => void;
}

/** One call of an asynchronous function, or a cell itself. */
export interface Frame {
  readonly cell: CellRun;
  /** The nearest call that was going on when this one began. */
  caller?: Frame;
  /** What it awaits now. */
  wait?: Wait;
  /** It was left behind: it stops at its next await. */
  abandoned: boolean;
}

/** How often an interrupted cell is looked at while it cleans up, in milliseconds. */
const cleanupInterval = 5;

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  return typeof (value as PromiseLike<unknown>).then === 'function';
}

export class InterruptGate {
  private readonly context = new AsyncContext<Frame>();
  /** Calls that have not ended. */
  private readonly frames = new Set<Frame>();
  private latest: Frame = { cell: { owner: undefined, interrupted: false }, abandoned: false };
  private ending?: Promise<void>;
  private controller = new AbortController();

  /** A cell begins, which {@link run} will start. @param owner whom its output belongs to */
  begin(owner: unknown): void {
    this.latest = { cell: { owner, interrupted: false }, abandoned: false };
    this.frames.add(this.latest);
    if (this.controller.signal.aborted) this.controller = new AbortController();
  }

  /** It has ended. What it has started may go on. */
  end(): void {
    this.frames.delete(this.latest);
  }

  /** Runs the first code of the cell that was begun last: all that comes of it belongs to that cell. */
  run<T>(start: () => T): T {
    return this.context.run(this.latest, start);
  }

  /** A listener as part of the cell that sets it, whenever it is called: also when that cell has ended or was interrupted. */
  readonly bind = <A extends unknown[], R>(listener: (...args: A) => R): ((...args: A) => R) => {
    const { owner } = this.here().cell;
    const run = (): Frame => ({ cell: { owner, interrupted: false }, abandoned: false });
    return (...args) => this.context.run(run(), () => listener(...args));
  };

  /** The owner of the code that runs right now; undefined for the kernel's own. */
  get owner(): unknown {
    return this.context.current?.cell.owner;
  }

  /** Aborted when the running cell is interrupted. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /**
   * Ends awaits; code after them runs, as in any `catch`.
   * @param all those of every cell, else of the one begun last
   * @returns false when that was done before, and waiting longer helps nobody
   */
  interrupt(all: boolean): boolean {
    const { cell } = this.latest;
    if (all ? this.ending : cell.interrupted) return false;
    if (!all) cell.interrupted = true;
    this.controller.abort(new Interrupted());
    const frames = [...this.frames].filter((frame) => all || frame.cell === cell);
    this.ending = this.endWaits(frames).finally(() => (this.ending = undefined));
    return true;
  }

  /** What goes on stops at its next await, whether it has cleaned up or not. @param all as for {@link interrupt} */
  abandon(all: boolean): void {
    this.controller.abort(new Interrupted());
    for (const frame of this.frames) {
      if (!all && frame.cell !== this.latest.cell) continue;
      frame.abandoned = true;
      this.frames.delete(frame);
    }
  }

  /** Everything that {@link interrupt} has ended has cleaned up when this settles, also what nobody awaits. */
  async cleanedUp(): Promise<void> {
    await this.ending;
  }

  private async endWaits(frames: readonly Frame[]): Promise<void> {
    const ended = new Set<Frame>();
    const old = new Map(frames.flatMap((frame) => (frame.wait ? [[frame, frame.wait] as const] : [])));
    while (old.size > 0) {
      const callers = new Set<Frame>();
      for (const frame of this.frames)
        if (frame.wait) for (let { caller } = frame; caller; caller = caller.caller) callers.add(caller);
      for (const [frame, wait] of old) {
        const isOver = frame.wait !== wait || !this.frames.has(frame);
        if (!isOver && callers.has(frame)) continue;
        old.delete(frame);
        if (isOver) continue;
        ended.add(frame);
        wait.reject(new Interrupted());
      }
      await sleep(cleanupInterval);
    }
    ended.delete(this.latest); // the kernel sees for itself when a cell ends
    while ([...ended].some((frame) => this.frames.has(frame))) await sleep(cleanupInterval);
  }

  /** The call that the first code of a cell or module is part of. */
  readonly here = (): Frame => this.context.current ?? this.latest;

  /** An asynchronous function of a cell begins. */
  readonly enter = (): Frame => {
    const caller = this.here();
    // Ended calls would make a chain without end where a function calls itself again and again.
    while (caller.caller && !this.frames.has(caller.caller)) caller.caller = caller.caller.caller;
    const frame: Frame = { cell: caller.cell, caller, abandoned: caller.abandoned };
    this.frames.add(frame);
    this.context.current = frame;
    return frame;
  };

  /** It ends. */
  readonly leave = (frame: Frame): void => {
    frame.wait = undefined;
    this.frames.delete(frame);
  };

  /** `yield x` in a cell's asynchronous generator is `yield pass(x, frame)`: it awaits nothing until it goes on. */
  readonly pass = (value: unknown, frame: Frame): unknown => {
    frame.wait = undefined;
    return value;
  };

  /** `await x` in a cell is `await hold(x, frame)`. */
  readonly hold = (value: unknown, frame: Frame): unknown => {
    this.context.current = frame;
    frame.wait = undefined;
    // Nothing is thrown: code that goes on after every error would never end.
    if (frame.abandoned) return new Promise(() => undefined);
    return isThenable(value) ? this.wait(value, frame) : value;
  };

  private wait(value: PromiseLike<unknown>, frame: Frame): Promise<unknown> {
    const promise = Promise.resolve(value);
    return new Promise((resolve, reject) => {
      frame.wait = { reject };
      // These very functions, and nothing else: V8 then finds who awaits, and stack traces go on.
      promise.then(resolve, reject);
    });
  }

  /** `for await (const v of x)` in a cell goes over `steps(x, frame)`: an interrupt ends it between two steps. */
  readonly steps = (source: AsyncIterable<unknown> | Iterable<unknown>, frame: Frame): AsyncIterable<unknown> => {
    const isAsync = typeof (source as Partial<AsyncIterable<unknown>>)?.[Symbol.asyncIterator] === 'function';
    if (!isAsync && typeof (source as Partial<Iterable<unknown>>)?.[Symbol.iterator] !== 'function') {
      throw new TypeError(`for await needs something to iterate over, got ${source === null ? 'null' : typeof source}`);
    }
    const inner = isAsync
      ? (source as AsyncIterable<unknown>)[Symbol.asyncIterator]()
      : (source as Iterable<unknown>)[Symbol.iterator]();
    const next = async (...args: [] | [unknown]): Promise<IteratorResult<unknown>> => {
      try {
        const result = (await this.hold(inner.next(...(args as [])), frame)) as IteratorResult<unknown>;
        const value: unknown = isAsync ? result.value : await this.hold(result.value, frame);
        return result.done ? { done: true, value } : { done: false, value };
      } catch (error) {
        // A generator of others closes when it comes to its next step: nobody waits for that.
        if (error instanceof Interrupted) void Promise.resolve(inner.return?.()).catch(() => undefined);
        throw error;
      }
    };
    const close = async (value?: unknown): Promise<IteratorResult<unknown>> =>
      (await inner.return?.(value)) ?? { done: true, value };
    return { [Symbol.asyncIterator]: () => ({ next, return: close }) };
  };
}
