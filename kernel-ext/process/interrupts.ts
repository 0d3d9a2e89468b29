/**
 * Interrupts for code that never yields. Node.js handles a signal only between two turns of the event loop, so a
 * second thread waits for SIGINT and tells the main thread. If the main thread does not answer, it stops the code there.
 * Code that a debugger has stopped is ended by the thread that has the debugger: V8 bears only one of the two.
 * The same thread ends a busy kernel whose parent process is gone: nobody could interrupt it any more.
 */
import { type MessagePort, Worker } from 'node:worker_threads';
import { flags } from '../threads/thread-messages';
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

/** The watcher's messages to the main thread. `sent` is what that slot was by then. */
interface WatcherMessage {
  readonly what: 'ready' | 'interrupt' | 'stopped';
  readonly sent: number;
}

/** How long the watcher waits, in milliseconds. */
const patience = {
  /** For the main thread to take one signal before the next one finds it busy. */
  answer: 100,
  /** For it to say that its code was stopped, before that is told again: V8 may have stopped the very code that was to hear it. */
  stopped: 300,
  /** For stopped code to be gone, before a further signal ends the process. */
  kill: 1000,
} as const;

interface WatcherData {
  readonly state: Int32Array;
  readonly slots: typeof slots;
  readonly patience: typeof patience;
  /** Numbers of all threads, and the place of the one that says whether a debugger has stopped the code. */
  readonly shared: Int32Array;
  readonly stoppedFlag: number;
  readonly parent: ParentProcess | null;
  /** Hears of each signal: the thread that can let go of code which a debugger has stopped. */
  readonly debuggerPort?: MessagePort;
  /** Source text of {@link hasEnded}. */
  readonly hasEndedSource: string;
}

type Say = (what: WatcherMessage['what']) => void;

/**
 * What the second thread does at each signal. The next signal may cut it short at any place, and calls it anew: what it
 * had begun must be found in the shared numbers, and be safe to do twice. Runs there, from its source text: it may use nothing from outside. */
function signalHandler(data: WatcherData, say: Say): () => void {
  const inspector = require('node:inspector') as typeof import('node:inspector');
  const { state, slots: at, patience: longest } = data;
  const answered = (): boolean => Atomics.load(state, at.received) >= Atomics.load(state, at.sent);
  /** Waits until the main thread has taken everything. @returns whether it has */
  const answeredWithin = (milliseconds: number): boolean => {
    const until = performance.now() + milliseconds;
    for (let left = milliseconds; !answered() && left > 0; left = until - performance.now())
      Atomics.wait(state, at.received, Atomics.load(state, at.received), left);
    return answered();
  };
  /** Code was told to end of which nothing has been heard since: when, in milliseconds, and whether by V8 or a debugger. */
  let ending: { readonly since: number; readonly by: 'v8' | 'debugger' } | undefined;

  /** Says it again where it is not heard: V8 may have stopped the very code that was to hear it. @returns whether it was */
  const tellStopped = (): boolean => {
    say('stopped');
    if (answeredWithin(longest.stopped)) return true;
    say('stopped');
    return false;
  };
  const sayStopped = (by: 'v8' | 'debugger'): boolean => {
    ending = { since: performance.now(), by };
    Atomics.add(state, at.sent, 1);
    return tellStopped();
  };
  const stop = (): void => {
    // Not kept: a process with an open session does not end.
    const session = new inspector.Session();
    session.connectToMainThread();
    session.post('Runtime.terminateExecution');
    session.disconnect();
    sayStopped('v8');
  };
  /** The main thread has taken all earlier signals. */
  const passOn = (): void => {
    // 2 already: the signal before was to stop that part, and this one cut its handler short.
    if (Atomics.compareExchange(state, at.synchronous, 1, 2) !== 0) return stop();
    Atomics.add(state, at.sent, 1);
    say('interrupt');
  };
  return (): void => {
    const [inDebugger, wasEnding] = [Atomics.load(data.shared, data.stoppedFlag) === 1, !answered() && ending];
    data.debuggerPort?.postMessage('signal');
    if (inDebugger) {
      if (wasEnding) return void tellStopped();
      // Code that was paused in the middle of a loop goes on: the debugger's end is that of the pause alone.
      if (!sayStopped('debugger')) stop();
    } else if (answeredWithin(longest.answer)) {
      ending = undefined;
      // A signal that came while code was being ended meant that code.
      if (!wasEnding) passOn();
    }
    // The second signal that finds the main thread busy stops it; where even that did not help, only its end does.
    else if (ending?.by !== 'v8') stop();
    else if (performance.now() - ending.since > longest.kill) process.kill(process.pid, 'SIGKILL');
    else tellStopped();
  };
}

/** Runs in the second thread, from its source text, too. */
function watch(makeHandler: typeof signalHandler): void {
  const threads = require('node:worker_threads') as typeof import('node:worker_threads');
  const vm = require('node:vm') as typeof import('node:vm');
  const data = threads.workerData as WatcherData;
  const { state, slots: at, parent, hasEndedSource: gone } = data;
  const say: Say = (what) =>
    threads.parentPort?.postMessage({ what, sent: Atomics.load(state, at.sent) } satisfies WatcherMessage);
  const isGone = vm.runInThisContext(`(${gone})`) as (parent: ParentProcess) => boolean;
  const signalled = makeHandler(data, say);

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
   * @param shared numbers of all threads
   * @param debuggerPort where each signal is told, too
   * @returns settles when it is ready, or will not be
   */
  start(onStopped: () => void, shared: Int32Array, debuggerPort?: MessagePort): Promise<void> {
    if (process.platform === 'win32') return Promise.resolve();
    const worker = new Worker(`(${watch.toString()})(${signalHandler.toString()})`, {
      eval: true,
      workerData: {
        state: this.state,
        slots,
        patience,
        shared,
        stoppedFlag: flags.stopped,
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
      worker.on('message', ({ what, sent }: WatcherMessage) => {
        if (what === 'ready') {
          this.active = true;
          resolve();
          return;
        }
        if (sent <= Atomics.load(this.state, slots.received)) return; // told again
        Atomics.store(this.state, slots.synchronous, 0);
        Atomics.store(shared, flags.stopped, 0); // this thread runs
        if (what === 'stopped') onStopped();
        else process.emit('SIGINT', 'SIGINT');
        Atomics.store(this.state, slots.received, sent);
        Atomics.notify(this.state, slots.received);
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
