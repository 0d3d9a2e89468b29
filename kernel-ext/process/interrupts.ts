/**
 * Interrupts for code that never yields. Node.js handles a signal only between two turns of the event loop, so a
 * second thread waits for SIGINT and tells the main thread. If the main thread does not answer, it stops the code there.
 * The same thread ends a busy kernel whose parent process is gone: nobody could interrupt it any more.
 */
import { type MessagePort, Worker } from 'node:worker_threads';
import { hasEnded, type ParentProcess, parentProcess } from './parent-process';

/** What the two threads share: places in an array of 32-bit numbers. */
const slots = {
  /** 1 while a cell's first, synchronous part runs; 2 when the watcher is about to stop that part. */
  synchronous: 0,
  /** Signals that the watcher has passed on. */
  sent: 1,
  /** Of these, what the main thread has received. */
  received: 2,
  /** Nothing is ever written here: the watcher sleeps on it. */
  sleep: 3,
} as const;

/** The watcher's messages to the main thread. */
type WatcherMessage = 'ready' | 'interrupt' | 'stopped';

interface WatcherData {
  readonly state: Int32Array;
  readonly slots: typeof slots;
  readonly parent: ParentProcess | null;
  /** Hears of each signal: the thread that can let go of code which a debugger has stopped. */
  readonly debuggerPort?: MessagePort;
  /** Source text of {@link hasEnded}. */
  readonly hasEndedSource: string;
}

/** Runs in the second thread, from its source text: it may use nothing from outside. */
function watch(): void {
  const threads = require('node:worker_threads') as typeof import('node:worker_threads');
  const vm = require('node:vm') as typeof import('node:vm');
  const inspector = require('node:inspector') as typeof import('node:inspector');
  const { state, slots: at, parent, hasEndedSource: gone, debuggerPort } = threads.workerData as WatcherData;
  const say = (what: WatcherMessage): void => threads.parentPort?.postMessage(what);
  const answered = (): boolean => Atomics.load(state, at.received) >= Atomics.load(state, at.sent);
  const isGone = vm.runInThisContext(`(${gone})`) as (parent: ParentProcess) => boolean;
  let stopped = false;

  const stop = (): void => {
    stopped = true;
    // Not kept: a process with an open session does not end.
    const session = new inspector.Session();
    session.connectToMainThread();
    session.post('Runtime.terminateExecution');
    session.disconnect();
    Atomics.add(state, at.sent, 1);
    say('stopped');
  };
  const signalled = (): void => {
    const { synchronous } = at;
    debuggerPort?.postMessage('signal');
    if (Atomics.compareExchange(state, synchronous, 1, 2) === 1) stop();
    else if (answered()) {
      stopped = false;
      Atomics.add(state, at.sent, 1);
      say('interrupt');
    }
    // The second signal that finds the main thread busy stops it; where even that did not help, only its end does.
    else if (!stopped) stop();
    else process.kill(process.pid, 'SIGKILL');
  };

  // Node.js interrupts a script in a thread only if it was started with this option.
  const run = (script: string): void => {
    try {
      vm.runInThisContext(script, { breakOnSigint: true });
    } catch {
      signalled();
    }
  };
  Object.assign(globalThis, {
    unilabSleep: () => {
      // An idle main thread notices within a second, and ends in order: a few seconds more are for that.
      for (let orphaned = 0; orphaned < 5;) {
        Atomics.wait(state, at.sleep, 0, 1000);
        orphaned = parent && isGone(parent) ? orphaned + 1 : 0;
      }
      process.kill(process.pid, 'SIGKILL');
    },
    unilabRest: () => {
      say('ready');
      for (;;) run('globalThis.unilabSleep()');
    },
  });
  // The outer script keeps the signal handler installed between two sleeps.
  for (;;) run('globalThis.unilabRest()');
}

/** The main thread's side. */
export class Interrupts {
  private readonly state = new Int32Array(new SharedArrayBuffer(4 * Object.keys(slots).length));
  private active = false;

  /**
   * Starts the watcher. Until it is ready, and where it cannot be had, signals arrive in Node's own way.
   * @param debuggerPort where each signal is told, too
   * @returns settles when it is ready, or will not be
   */
  start(onStopped: () => void, debuggerPort?: MessagePort): Promise<void> {
    if (process.platform === 'win32') return Promise.resolve();
    const worker = new Worker(`(${watch.toString()})()`, {
      eval: true,
      workerData: {
        state: this.state,
        slots: slots,
        parent: parentProcess(),
        hasEndedSource: hasEnded.toString(),
        debuggerPort,
      } satisfies WatcherData,
      transferList: debuggerPort ? [debuggerPort] : [],
      // Its own flags: not the ones of a debugger, nor a loader of sources.
      execArgv: [],
      env: {},
    });
    worker.unref();
    return new Promise((resolve) => {
      worker.on('message', (said: WatcherMessage) => {
        if (said === 'ready') {
          this.active = true;
          resolve();
          return;
        }
        Atomics.add(this.state, slots.received, 1);
        Atomics.store(this.state, slots.synchronous, 0);
        if (said === 'stopped') onStopped();
        else process.emit('SIGINT', 'SIGINT');
      });
      const gone = (): void => {
        this.active = false;
        resolve();
      };
      worker.on('error', gone).on('exit', gone);
    });
  }

  /** Whether the watcher receives signals. If not, scripts must run with `breakOnSigint`. */
  get watching(): boolean {
    return this.active;
  }

  /** Runs a cell's synchronous part, which the first signal stops at once: this call then never returns. */
  interruptible<T>(run: () => T): T {
    Atomics.store(this.state, slots.synchronous, 1);
    try {
      return run();
    } finally {
      // The watcher has already decided to stop this code: wait, so that it does not stop the code after it.
      const claimed = Atomics.compareExchange(this.state, slots.synchronous, 1, 0) === 2;
      const until = performance.now() + 1000;
      while (claimed && performance.now() < until);
    }
  }
}
