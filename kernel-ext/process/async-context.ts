/**
 * A value that goes with code through its promises and timers. Node's AsyncLocalStorage does the same, but counts what it
 * enters and leaves, and ends the process where code that never yields is stopped in between.
 */
import timers from 'node:timers';
import { promisify } from 'node:util';
import { promiseHooks } from 'node:v8';

type Callback = (...args: unknown[]) => unknown;
type Scheduler = (callback: Callback, ...rest: unknown[]) => unknown;

export class AsyncContext<T extends object> {
  /** The value of the code that runs now; undefined outside of all {@link run}s. */
  current?: T;
  private readonly values = new WeakMap<object, T>();

  /** Follows promises and the usual timers from now on. */
  constructor() {
    promiseHooks.createHook({
      init: (promise: Promise<unknown>) => {
        if (this.current) this.values.set(promise, this.current);
      },
      before: (promise: Promise<unknown>) => {
        this.current = this.values.get(promise);
      },
      after: () => {
        // Reactions of promises run one after the other, with nothing around them.
        this.current = undefined;
      },
    });
    for (const name of ['setTimeout', 'setInterval', 'setImmediate'] as const) {
      const timer = this.following(timers[name] as Scheduler);
      Object.defineProperty(timers, name, { value: timer, writable: true, configurable: true, enumerable: true });
      Object.assign(globalThis, { [name]: timer });
    }
    globalThis.queueMicrotask = this.following(queueMicrotask);
    process.nextTick = this.following(process.nextTick.bind(process) as Scheduler) as typeof process.nextTick;
  }

  /** Runs code, and what comes of it, with a value. */
  run<R>(value: T | undefined, code: () => R): R {
    const { current } = this;
    this.current = value;
    try {
      return code();
    } finally {
      this.current = current;
    }
  }

  private following(schedule: Scheduler): Scheduler {
    const scheduled: Scheduler = (callback, ...rest) => {
      const { current } = this;
      if (!current || typeof callback !== 'function') return schedule(callback, ...rest);
      const run = this.run.bind(this, current);
      // Not an arrow: a timer's callback has the timer as `this`.
      const bound = function (this: unknown, ...args: unknown[]): unknown {
        return run(() => callback.apply(this, args));
      };
      return schedule(bound, ...rest);
    };
    const custom = (schedule as { [promisify.custom]?: unknown })[promisify.custom];
    if (custom) Object.defineProperty(scheduled, promisify.custom, { value: custom });
    return Object.defineProperty(scheduled, 'name', { value: schedule.name.replace(/^bound /, '') });
  }
}
