/** Running cells one after the other on tslab's executor, and finding out how each ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import vm from 'node:vm';
import type { Executor } from 'tslab/dist/executor';
import { RemoteCompiler } from '../threads/remote-compiler';
import type { Threads } from '../threads/threads';
import { diagnosticFailure, type Failure, failureOf } from './errors';
import { Interrupts } from './interrupts';
import { Interrupted, InterruptGate } from './interrupt-gate';
import { CellModules, installRuntime } from './runtime';
import { type CellVariables, Variables } from './variables';

/** How a cell ended. `value` is there where its last expression had one. */
export type Outcome =
  | { readonly status: 'ok'; readonly value?: { readonly value: unknown } }
  | { readonly status: 'error'; readonly failure: Failure };

/** Longest wait for the watcher of signals before the first cell, in milliseconds. */
const watcherTimeout = 1000;

/** How tslab calls the function around a cell. */
const call = /\(__tslab__\.exports, __tslab__\.require\)$/;

/**
 * Runs a cell that names a source map, which nothing else does: V8 stops before such a script. The function in it is
 * called from here, for a step passes over the kernel's files, but not over a part of the cell's own script.
 */
function runForDebugger(plain: typeof vm.runInThisContext, text: string, options: vm.RunningScriptOptions): unknown {
  const { exports, require } = (globalThis as unknown as { __tslab__: { exports: object; require: NodeJS.Require } })
    .__tslab__;
  const script = `${text.replace(call, '')}\n//# sourceMappingURL=unilab`;
  const cell = plain(script, options) as (exports: object, require: NodeJS.Require) => unknown;
  return cell(exports, require);
}

/** The cells of one notebook folder. */
export class CellRunner {
  readonly gate = new InterruptGate();
  private readonly interrupts = new Interrupts();
  private readonly modules: CellModules;
  readonly compiler: RemoteCompiler;
  private lazyExecutor?: Executor;
  private warmedUp?: Promise<unknown>;
  private readonly variables = new Variables();
  private cell?: CellVariables;
  private thrown?: { readonly thrown: unknown };
  private running = false;
  private unhandled?: { readonly thrown: unknown };
  private abandonCell?: () => void;

  constructor(
    private readonly folder: string,
    private readonly threads: Threads,
  ) {
    this.compiler = new RemoteCompiler(threads);
    this.modules = new CellModules(folder);
    installRuntime(this.gate, this.modules);
  }

  /** tslab's. */
  get executor(): Executor {
    return (this.lazyExecutor ??= this.makeExecutor());
  }

  private makeExecutor(): Executor {
    const { converter } = this.compiler;
    const { createExecutor } = this.compiler.loadExecutor();
    const converters = { node: converter, browser: converter, close: () => undefined };
    const executor = createExecutor(this.folder, converters, {
      log: () => undefined,
      error: (...args: unknown[]) => (this.thrown ??= { thrown: args[0] }),
    });
    const { __tslab__: given } = globalThis as unknown as { __tslab__: { require: NodeJS.Require } };
    given.require = this.modules.local.requireBeside(given.require);
    return executor;
  }

  /** Loads what the first cell needs, once. @returns settles when signals are received too */
  warmUp(): Promise<unknown> {
    return (this.warmedUp ??= this.prepare());
  }

  private async prepare(): Promise<unknown> {
    this.compiler.warmUp();
    const watching = this.watchSignals();
    void this.executor;
    return Promise.race([watching, sleep(watcherTimeout, undefined, { ref: false })]);
  }

  /** Whether a cell is being run. */
  get busy(): boolean {
    return this.running;
  }

  /**
   * Runs a cell. Never rejects. A promise that is rejected with nobody to handle it fails the cell that is running,
   * or, where none is, the next one, which is then not run.
   * @param name how stack traces call it, `cell-3`
   * @param owner whom its output belongs to, also later
   */
  async run(code: string, name: string, owner: unknown): Promise<Outcome> {
    if (this.unhandled) {
      const { thrown } = this.unhandled;
      this.unhandled = undefined;
      const failure = failureOf(thrown, this.compiler.codeMap);
      const note = 'This happened after an earlier cell had ended. The cell here was not run: run it again.';
      return { status: 'error', failure: { ...failure, traceback: [...failure.traceback, note] } };
    }
    this.thrown = undefined;
    this.running = true;
    this.gate.begin(owner);
    try {
      await this.warmUp();
      const stray = new Promise<false>((resolve) => (this.abandonCell = () => resolve(false)));
      const imports = await this.compile(code, name);
      const ok = !this.unhandled && (await Promise.race([this.runToEnd(code, name, imports), stray]));
      // A rejection without a handler is only known after this turn of the event loop.
      await new Promise((resolve) => setImmediate(resolve));
      const outcome = this.outcome(ok && !this.unhandled, code, name);
      this.keepVariables(outcome.status === 'ok');
      return outcome;
    } catch (error) {
      return { status: 'error', failure: failureOf(error, this.compiler.codeMap) };
    } finally {
      this.running = false;
      this.gate.end();
      this.abandonCell = undefined;
      this.unhandled = undefined;
      this.cell = undefined;
      // tslab's promise for interrupts would keep something of every cell that awaited.
      this.lazyExecutor?.interrupt();
    }
  }

  /** Compiles a cell. @returns what it imports @throws Interrupted when that was interrupted */
  private async compile(code: string, name: string): Promise<readonly string[]> {
    const { diagnostics, files, imports } = await this.compiler.compile(name, code);
    this.modules.takeEdits(files);
    if (!this.unhandled) this.gate.signal.throwIfAborted();
    return diagnostics.length === 0 ? imports : [];
  }

  /**
   * Starts code with nothing of the kernel in the same turn of the event loop: where it is stopped, what else waits in
   * that turn is lost. As a reaction to a promise, because Node.js cannot bear an end in the middle of a callback.
   */
  private inOwnTurn(start: () => Promise<boolean>): Promise<boolean> {
    return new Promise((resolve, reject) => {
      setImmediate(() => void Promise.resolve().then(start).then(resolve, reject));
    });
  }

  /** What the cell has declared by now is there for the next ones, with its types. */
  private keepVariables(whole: boolean): void {
    const missing = this.cell?.end(this.compiler.assigned, whole);
    if (missing) this.compiler.keep(missing);
  }

  /** Starts a cell and waits for its end, and for what cleans up after an interrupt. @returns whether it succeeded */
  private async runToEnd(code: string, name: string, imports: readonly string[]): Promise<boolean> {
    if (imports.length > 0) await this.gate.run(() => this.modules.local.prepare(imports, this.folder));
    const ok = await this.inOwnTurn(() => this.gate.run(() => this.start(code, name)));
    await this.gate.cleanedUp();
    return ok;
  }

  /** Starts a cell under its name: stack traces and debuggers show it. */
  private start(code: string, name: string): Promise<boolean> {
    const plain = vm.runInThisContext;
    // tslab runs the cell before `execute` returns, and names no file.
    vm.runInThisContext = (text, options) => {
      vm.runInThisContext = plain;
      const { watching } = this.interrupts;
      this.cell?.begin(this.compiler.resultName);
      const all = { ...(options as vm.RunningScriptOptions), filename: name, breakOnSigint: !watching };
      const run = (): unknown => (this.compiler.isDebugging ? runForDebugger(plain, text, all) : plain(text, all));
      return watching ? this.interrupts.interruptible(run) : run();
    };
    const { executor } = this;
    this.cell = this.variables.forCell();
    try {
      return executor.execute(code);
    } finally {
      vm.runInThisContext = plain;
    }
  }

  private outcome(ok: boolean, code: string, name: string): Outcome {
    const { codeMap, diagnostics } = this.compiler;
    const result = this.cell?.result;
    if (ok && diagnostics.length === 0)
      return { status: 'ok', value: result?.value === undefined ? undefined : result };
    if (this.unhandled) return { status: 'error', failure: failureOf(this.unhandled.thrown, codeMap) };
    if (diagnostics.length) return { status: 'error', failure: diagnosticFailure(diagnostics, name, code) };
    const thrown = this.thrown?.thrown;
    const interrupted = thrown instanceof Error && thrown.message === 'Interrupted asynchronously';
    return { status: 'error', failure: failureOf(interrupted ? new Interrupted() : thrown, codeMap) };
  }

  /** Something failed with nobody to handle it. */
  failUnhandled(thrown: unknown): void {
    if (thrown instanceof Interrupted) return; // a cell that was interrupted and left behind has ended
    this.unhandled ??= { thrown };
    if (this.running) this.gate.interrupt(false); // what it was doing cleans up, and the cell has failed already
    this.abandonCell?.();
  }

  /** Hears signals even while a cell never yields. */
  private watchSignals(): Promise<void> {
    return this.interrupts.start(
      () => {
        // The cell's code is gone, and with it every promise that it would have settled.
        this.thrown = { thrown: new Interrupted() };
        if (!this.gate.interrupt(false)) this.gate.abandon(false);
        this.abandonCell?.();
      },
      this.threads.flags,
      this.threads.clients.signals(),
    );
  }

  /**
   * Ends the awaits of the running cell, which ends when its code has cleaned up; the second time, at once. Where no cell
   * runs, what earlier ones have left behind ends.
   */
  interrupt(): void {
    const all = !this.running;
    if (this.gate.interrupt(all)) return;
    this.gate.abandon(all);
    this.lazyExecutor?.interrupt();
    if (all || this.cell) return;
    // It has not begun: a file that it imports awaits.
    this.thrown = { thrown: new Interrupted() };
    this.abandonCell?.();
  }
}
