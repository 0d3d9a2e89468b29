/** Stopping and going on: which of V8's stops are shown, and what a step is to people. */
import type { LanguageLink } from '../threads/language-link';
import { flags } from '../threads/thread-messages';
import type { Breakpoints } from './breakpoints';
import type { CallFrame, Inspector, Paused } from './inspector';
import type { Sources } from './sources';

export type StepKind = 'stepOver' | 'stepInto' | 'stepOut';
/** Which exceptions stop: those that people's code does not catch, or all. */
export type ExceptionFilter = 'uncaught' | 'all';

/** A step under way. It ends on another line than it began on. */
interface Step {
  readonly kind: StepKind;
  readonly from: string;
  /** V8's steps that are left for it. */
  left: number;
}

/** Longest way of one step, in steps of V8's. */
const longestStep = 100;

/** The only thread that clients see. */
export const threadId = 1;

export type SendEvent = (event: string, body: Record<string, unknown>) => void;

export class Stops {
  private paused?: Paused;
  /** A stop of V8's that is being looked at: nobody knows yet whether it is shown. */
  private deciding?: Paused;
  /** Somebody interrupted meanwhile. */
  private toEnd = false;
  /** The frames of people's code, innermost first. */
  private shown: readonly CallFrame[] = [];
  private step?: Step;
  private filters: readonly ExceptionFilter[] = [];

  constructor(
    private readonly inspector: Inspector,
    private readonly sources: Sources,
    private readonly breakpoints: Breakpoints,
    private readonly language: LanguageLink,
    private readonly shared: Int32Array,
    private readonly send: SendEvent,
  ) {
    inspector.on('Debugger.paused', (params) => void this.onPaused(params as Paused));
    inspector.on('Debugger.resumed', () => this.onResumed());
  }

  get isStopped(): boolean {
    return this.paused !== undefined;
  }

  get frames(): readonly CallFrame[] {
    return this.shown;
  }

  /** Called when values of the stopped code are no longer of use. */
  onGoOn: () => void = () => undefined;

  private async onPaused(paused: Paused): Promise<void> {
    this.deciding = paused;
    this.toEnd = false;
    try {
      if (paused.reason === 'instrumentation') await this.beforeCell(paused);
      else if ((await this.shows(paused)) && this.toEnd) await this.terminate();
    } catch {
      await this.resume(); // whatever failed here must not hold the cells for ever
    } finally {
      if (this.deciding === paused) this.deciding = undefined;
    }
  }

  /** A cell is about to run: the main thread waits until its breakpoints are set. */
  private async beforeCell({ data }: Paused): Promise<void> {
    const script = await this.sources.script(data?.scriptId ?? '', data?.url);
    if (script) {
      await this.breakpoints.apply(script);
      if (this.breakpoints.all.length > 0)
        for (const name of await this.language.ask<string[]>({ type: 'local_files' }))
          await this.breakpoints.applyAhead(name);
    }
    await this.resume();
  }

  /** Decides whether a stop is shown; else the code goes on. */
  private async shows(paused: Paused): Promise<boolean> {
    await Promise.all(paused.callFrames.map(({ location }) => this.sources.script(location.scriptId)));
    const frames = paused.callFrames.filter(({ location }) => this.sources.origin(location));
    const isException = paused.reason === 'exception' || paused.reason === 'promiseRejection';
    const isBreakpoint = (paused.hitBreakpoints?.length ?? 0) > 0;
    const more = isException || isBreakpoint ? undefined : this.moreOfStep(paused, frames);
    if (more) {
      await this.inspector.post(`Debugger.${more}`);
      return false;
    }
    if (frames.length === 0 || (isException && !this.filters.includes('all') && (await this.isCaught(frames)))) {
      await this.resume();
      return false;
    }
    const reason = isException ? 'exception' : isBreakpoint ? 'breakpoint' : this.step ? 'step' : 'pause';
    this.paused = paused;
    Atomics.store(this.shared, flags.stopped, 1);
    this.shown = frames;
    this.step = undefined;
    const text = isException ? { text: paused.data?.description ?? 'a value that is no Error' } : {};
    this.send('stopped', { reason, threadId, allThreadsStopped: true, ...text });
    return true;
  }

  /** The step of V8's that a step needs still; undefined where it has come to its end. */
  private moreOfStep({ callFrames: [top] }: Paused, frames: readonly CallFrame[]): StepKind | undefined {
    const { step } = this;
    if (!step || step.left-- <= 0) return undefined;
    const isWritten = this.sources.origin(top.location) !== undefined;
    const isPeoples = this.sources.isKnown(top.location.scriptId);
    // In people's code: a part that nobody wrote, or more of the line where the step began.
    if (isPeoples && (!isWritten || (step.kind !== 'stepOut' && this.place(frames) === step.from))) return step.kind;
    // In the kernel's or a package's code, called from people's code.
    return !isPeoples && frames.length > 0 ? 'stepOut' : undefined;
  }

  /** Where the innermost frame is; another text for each depth of calls. */
  private place(frames: readonly CallFrame[]): string {
    const origin = frames.length > 0 ? this.sources.origin(frames[0].location) : undefined;
    return `${frames.length} ${origin?.path}:${origin?.line}`;
  }

  /** Whether people's code catches what was thrown. V8 cannot tell: the kernel around a cell catches everything. */
  private async isCaught(frames: readonly CallFrame[]): Promise<boolean> {
    for (const { location } of frames) {
      const { scriptId, lineNumber: line, columnNumber: column = 0 } = location;
      const { scriptSource: code } = await this.inspector.post<{ scriptSource: string }>('Debugger.getScriptSource', {
        scriptId,
      });
      if (await this.language.ask<boolean>({ type: 'is_guarded', code, line, column })) return true;
    }
    return false;
  }

  private onResumed(): void {
    if (!this.paused) return;
    this.paused = undefined;
    Atomics.store(this.shared, flags.stopped, 0);
    this.shown = [];
    this.onGoOn();
    this.send('continued', { threadId, allThreadsContinued: true });
  }

  /** Goes on. */
  async resume(): Promise<void> {
    await this.inspector.post('Debugger.resume');
  }

  /** @throws Error when nothing is stopped */
  async stepOn(kind: StepKind): Promise<void> {
    if (!this.paused) throw new Error('nothing is stopped: there is no step to take');
    this.step = { kind, from: this.place(this.shown), left: longestStep };
    await this.inspector.post(`Debugger.${kind}`);
  }

  /** Stops the code that runs, in a loop that calls nothing, too. */
  pause(): void {
    this.step = undefined;
    // Debugger.pause waits for the next call of a function. This is answered when the code goes on.
    this.inspector.post('Runtime.evaluate', { expression: 'debugger' }).catch(() => undefined);
  }

  async stopOnExceptions(filters: readonly ExceptionFilter[]): Promise<void> {
    this.filters = filters;
    await this.inspector.post('Debugger.setPauseOnExceptions', { state: filters.length > 0 ? 'all' : 'none' });
  }

  /**
   * Ends stopped code, as an interrupt ends running code. A request to interrupt comes with a signal, and both ask for
   * this: the one that comes too late finds code that runs, which is what it asked for.
   */
  async terminate(): Promise<void> {
    this.toEnd = this.deciding !== undefined;
    if (!this.paused) return;
    await this.inspector.post('Debugger.resume', { terminateOnResume: true }).catch((error: Error) => {
      if (!/while paused/.test(error.message)) throw error;
    });
  }

  /** The session has ended. */
  forget(): void {
    this.step = undefined;
    this.filters = [];
    this.onResumed();
  }
}
