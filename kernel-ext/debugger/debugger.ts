/**
 * The debugger that clients speak to: the Debug Adapter Protocol with Jupyter's additions on one side, V8's inspector of
 * the main thread on the other. It is in the thread that faces the clients, so it answers while the cells are stopped.
 *
 * https://jupyter-client.readthedocs.io/en/latest/messaging.html#debug-request
 * https://microsoft.github.io/debug-adapter-protocol/specification
 */
import path from 'node:path';
import { packageRoot } from '../compiler/package-paths';
import type { Json } from '../protocol/messages';
import type { LanguageLink } from '../threads/language-link';
import { flags } from '../threads/thread-messages';
import { Breakpoints, type SourceBreakpoint } from './breakpoints';
import { Evaluation, type Outcome } from './evaluation';
import { type CallFrame, Inspector } from './inspector';
import type { MimeBundle } from '../process/render';
import { richView } from './rich-view';
import { cellNames, Sources } from './sources';
import { type ExceptionFilter, type StepKind, Stops, threadId } from './stops';
import { textOf, Values } from './values';

/** Steps do not end in these: Node's own functions, packages, the kernel. */
const foreignCode = ['^node:', '/node_modules/', `^(file://)?${packageRoot}/(dist/)?kernel-ext/`, '^$'];

/** Longest wait for the kernel's variables, in milliseconds: while a cell is inside of one long operation, the last ones are shown. */
const variablesPatience = 60;

/** Answers a request: the body of its response, if it has one. */
type Handler = (args: Json) => unknown;

export class Debugger {
  private readonly inspector = new Inspector();
  private readonly sources: Sources;
  private readonly breakpoints: Breakpoints;
  private readonly stops: Stops;
  private readonly values: Values;
  private readonly evaluation: Evaluation;
  private isStarted = false;
  private sequence = 0;
  private lastVariables: readonly Json[] = [];

  /**
   * @param shared numbers that all threads share
   * @param emit publishes a debug_event
   */
  constructor(
    private readonly language: LanguageLink,
    private readonly shared: Int32Array,
    private readonly emit: (event: Json) => void,
  ) {
    const { inspector } = this;
    this.sources = new Sources(language);
    this.breakpoints = new Breakpoints(inspector, this.sources, language);
    this.values = new Values(inspector);
    this.evaluation = new Evaluation(inspector, language);
    const send = (event: string, body: Json): void => this.send(event, body);
    this.stops = new Stops(inspector, this.sources, this.breakpoints, language, shared, send);
    this.stops.onGoOn = () => this.values.forget();
    inspector.on('Debugger.scriptParsed', (params) => {
      const { scriptId, url } = params as { scriptId: string; url: string };
      this.sources.parsed(scriptId, url);
    });
  }

  private send(event: string, body: Json): void {
    this.emit({ type: 'event', seq: ++this.sequence, event, body });
  }

  /** Answers a debug_request. Never rejects. */
  async handle(request: Json): Promise<Json> {
    const { command, seq, arguments: args } = request as { command: string; seq: number; arguments?: Json };
    const response = { type: 'response', request_seq: seq, seq: ++this.sequence, command };
    try {
      const handler = Object.hasOwn(this.handlers, command) ? this.handlers[command] : undefined;
      if (!handler) throw new Error(`the debugger does not know the request '${command}'`);
      return { ...response, success: true, body: (await Promise.resolve(handler(args ?? {}))) ?? {} };
    } catch (error) {
      return { ...response, success: false, message: (error as Error).message, body: {} };
    }
  }

  /** Lets go of stopped code, which is to end: somebody interrupts the kernel. */
  interrupt(): Promise<void> {
    return this.stops.terminate();
  }

  /** The process is about to end. */
  close(): void {
    this.inspector.close();
  }

  /**
   * Evaluates among the kernel's variables, in the middle of whatever the main thread does.
   * @param mayWait whether the main thread has turns of its event loop, which rich views and promises need
   * @returns the bundle of the value, if it has one
   */
  async look(code: string, mayWait: boolean): Promise<{ readonly data?: MimeBundle; readonly error?: string }> {
    const { result, error } = await this.evaluation.evaluate(code);
    if (error !== undefined) return { error };
    if (result.type === 'undefined') return {};
    const { value } = await this.values.variable('', result);
    return { data: { 'text/plain': String(value), ...(await richView(this.inspector, result, mayWait)) } };
  }

  private readonly handlers: Readonly<Record<string, Handler>> = {
    debugInfo: () => ({
      isStarted: this.isStarted,
      hashMethod: 'Murmur2',
      hashSeed: cellNames.seed,
      tmpFilePrefix: cellNames.prefix,
      tmpFileSuffix: cellNames.suffix,
      breakpoints: this.breakpoints.all,
      stoppedThreads: this.stops.isStopped ? [threadId] : [],
      richRendering: true,
      exceptionPaths: [],
      copyToGlobals: true,
    }),
    initialize: () => this.start(),
    attach: () => undefined,
    configurationDone: () => undefined,
    disconnect: () => this.stop(),
    dumpCell: ({ code }) => ({ sourcePath: this.sources.dump(String(code)) }),
    source: ({ source }) => ({
      content: this.sources.text((source as { path: string }).path),
      mimeType: 'text/typescript',
    }),
    setBreakpoints: (args) => this.setBreakpoints(args),
    setExceptionBreakpoints: ({ filters }) => this.stops.stopOnExceptions(filters as ExceptionFilter[]),
    threads: () => ({ threads: [{ id: threadId, name: 'cells' }] }),
    stackTrace: () => this.stackTrace(),
    scopes: ({ frameId }) => ({ scopes: this.scopes(this.frame(frameId)) }),
    variables: async ({ variablesReference }) => ({
      variables: await this.values.variables(Number(variablesReference)),
    }),
    inspectVariables: () => this.inspectVariables(),
    richInspectVariables: ({ variableName, frameId }) => this.richView(String(variableName), this.frame(frameId)),
    evaluate: async ({ expression, frameId }) => {
      const { result } = succeeded(await this.evaluation.evaluate(String(expression), this.frame(frameId)));
      const { value, type, variablesReference } = await this.values.variable('', result);
      return { result: value, type, variablesReference };
    },
    copyToGlobals: async ({ srcVariableName, dstVariableName, srcFrameId }) => {
      const name = String(dstVariableName);
      await this.evaluation.copyToVariables(String(srcVariableName), name, this.frame(srcFrameId));
      this.language.tell({ type: 'declare', name });
    },
    continue: async () => {
      await this.stops.resume();
      return { allThreadsContinued: true };
    },
    next: () => this.step('stepOver'),
    stepIn: () => this.step('stepInto'),
    stepOut: () => this.step('stepOut'),
    pause: () => this.stops.pause(),
    modules: () => ({ modules: [], totalModules: 0 }),
  };

  private async start(): Promise<Json> {
    const { inspector } = this;
    await inspector.post('Runtime.enable');
    await inspector.post('Debugger.enable');
    await inspector.post('Debugger.setBlackboxPatterns', { patterns: foreignCode });
    // Only cells name a source map, and they do so only while somebody debugs.
    const instrumentation = 'beforeScriptWithSourceMapExecution';
    if (!this.isStarted) await inspector.post('Debugger.setInstrumentationBreakpoint', { instrumentation });
    Atomics.store(this.shared, flags.debugging, 1);
    this.isStarted = true;
    this.send('initialized', {});
    return {
      supportsConfigurationDoneRequest: true,
      supportsEvaluateForHovers: true,
      supportsConditionalBreakpoints: true,
      supportsSetVariable: false,
      supportsModulesRequest: false,
      exceptionBreakpointFilters: [
        { filter: 'all', label: 'All exceptions', default: false },
        { filter: 'uncaught', label: 'Uncaught exceptions', default: false },
      ],
    };
  }

  private async stop(): Promise<void> {
    Atomics.store(this.shared, flags.debugging, 0);
    this.isStarted = false;
    this.breakpoints.clear();
    if (this.stops.isStopped) await this.stops.resume();
    await this.inspector.post('Debugger.disable');
    this.inspector.close();
    this.stops.forget();
    this.sources.forgetScripts();
  }

  private async setBreakpoints({ source, breakpoints }: Json): Promise<Json> {
    const place = (source as { path: string }).path;
    const wanted = ((breakpoints ?? []) as SourceBreakpoint[]).map(({ line, condition }) => ({ line, condition }));
    const lines = await this.breakpoints.set(place, wanted);
    return { breakpoints: lines.map((line, id) => ({ id, verified: true, line, source: { path: place } })) };
  }

  /** A stopped frame by its number, from 1. */
  private frame(id: unknown): CallFrame | undefined {
    const { frames } = this.stops;
    return frames.length === 0 ? undefined : frames[Number(id ?? 1) - 1];
  }

  private stackTrace(): Json {
    const stackFrames = this.stops.frames.map(({ functionName, location }, at) => {
      const name = this.sources.name(location.scriptId);
      const { path: place = '', line = 0 } = this.sources.origin(location) ?? {};
      const title = path.basename(name);
      return { id: at + 1, name: functionName || title, source: { path: place, name: title }, line, column: 1 };
    });
    return { stackFrames, totalFrames: stackFrames.length };
  }

  private scopes(frame: CallFrame | undefined): Json[] {
    if (!frame) return [];
    const scope = (name: string, ...types: string[]): Json[] => {
      const objects = frame.scopeChain.filter(({ type }) => types.includes(type)).map(({ object }) => object);
      if (objects.length === 0) return [];
      const variablesReference = this.values.reference(() => this.values.ofScopes(objects));
      return [{ name, variablesReference, expensive: false }];
    };
    // The client adds what it copies to the scope of this name.
    const globals = this.values.reference(() => this.variables());
    return [
      ...scope('Locals', 'local', 'block', 'catch'),
      ...scope('Closure', 'closure'),
      { name: 'Globals', variablesReference: globals, expensive: false },
    ];
  }

  private async variables(): Promise<Json[]> {
    return this.values.ofScopes([await this.evaluation.variables()]);
  }

  private async inspectVariables(): Promise<Json> {
    if (!this.stops.isStopped) this.values.forget();
    const now = this.variables().then((variables) => (this.lastVariables = variables));
    const late = new Promise<undefined>((resolve) => setTimeout(resolve, variablesPatience, undefined));
    return { variables: (await Promise.race([now, late])) ?? this.lastVariables };
  }

  private async richView(name: string, frame: CallFrame | undefined): Promise<Json> {
    const { result } = succeeded(await this.evaluation.evaluate(name, frame));
    const data = await richView(this.inspector, result, !this.stops.isStopped);
    return { data: { 'text/plain': textOf(result), ...data }, metadata: {} };
  }

  private step(kind: StepKind): Promise<void> {
    return this.stops.stepOn(kind);
  }
}

/** @throws Error with what the evaluated code threw */
function succeeded(outcome: Outcome): Outcome {
  if (outcome.error !== undefined) throw new Error(outcome.error);
  return outcome;
}
