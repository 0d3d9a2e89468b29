/** A debugger's client as JupyterLab is one: requests over the control channel, events over iopub. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Json, Message } from '../../kernel-ext/protocol/messages';
import { PATIENCE } from '../eventually';
import type { Ran, TestKernel } from './kernel';

export interface Variable {
  readonly name: string;
  readonly value: string;
  readonly type?: string;
  readonly variablesReference: number;
}

export interface StackFrame {
  readonly id: number;
  readonly name: string;
  readonly line: number;
  readonly source: { readonly path: string };
}

export class DebugClient {
  private readonly events: Json[] = [];
  private sequence = 0;
  readonly stopListening: () => void;

  constructor(private readonly kernel: TestKernel) {
    this.stopListening = kernel.client.onMessage((message: Message) => {
      if (message.header.msg_type === 'debug_event') this.events.push(message.content);
    });
  }

  /** Sends a request. @returns the whole response */
  async response(command: string, args: Json = {}): Promise<Json> {
    const content = { type: 'request', seq: ++this.sequence, command, arguments: args };
    const { reply } = await this.kernel.send('debug_request', content, 'control');
    return reply;
  }

  /** Sends a request. @returns the body of its response @throws Error where it failed */
  async ask<T = Json>(command: string, args: Json = {}): Promise<T> {
    const reply = await this.response(command, args);
    if (reply.success !== true) throw new Error(String(reply.message));
    return reply.body as T;
  }

  /** As JupyterLab begins when its bug button is pressed. */
  async start(): Promise<void> {
    await this.ask('debugInfo');
    await this.ask('initialize', { clientID: 'test', adapterID: 'test' });
    await this.ask('attach');
    await this.ask('setExceptionBreakpoints', { filters: [] });
  }

  /** Sets breakpoints in a cell. @returns its path, and the line of each */
  async breakIn(
    code: string,
    ...breakpoints: { readonly line: number; readonly condition?: string }[]
  ): Promise<{ path: string; lines: number[] }> {
    const { sourcePath: path } = await this.ask<{ sourcePath: string }>('dumpCell', { code });
    return { path, lines: await this.breakAt(path, ...breakpoints) };
  }

  /** Sets breakpoints in a source. */
  async breakAt(
    path: string,
    ...breakpoints: { readonly line: number; readonly condition?: string }[]
  ): Promise<number[]> {
    const body = await this.ask<{ breakpoints: { line: number }[] }>('setBreakpoints', {
      source: { path },
      breakpoints,
      sourceModified: false,
    });
    return body.breakpoints.map(({ line }) => line);
  }

  /** The next event of this name. @throws Error where none comes */
  async event(name: string): Promise<Json> {
    for (const until = performance.now() + PATIENCE; performance.now() < until; await sleep(5)) {
      const at = this.events.findIndex((one) => one.event === name);
      if (at >= 0) return this.events.splice(at, 1)[0].body as Json;
    }
    throw new Error(`no event '${name}' within ${PATIENCE / 1000} s`);
  }

  /** Waits until the code stops. @returns why, and where: the frames as `name:line` */
  async stopped(): Promise<{ reason: unknown; at: string[]; frames: StackFrame[]; text?: unknown }> {
    const { reason, text } = await this.event('stopped');
    const { stackFrames: frames } = await this.ask<{ stackFrames: StackFrame[] }>('stackTrace', { threadId: 1 });
    return { reason, at: frames.map(({ name, line }) => `${name}:${line}`), frames, text };
  }

  /** Takes a step, and waits until the code stops. */
  async step(command: 'next' | 'stepIn' | 'stepOut'): ReturnType<DebugClient['stopped']> {
    await this.ask(command, { threadId: 1 });
    return this.stopped();
  }

  /** The variables of a frame by scope, as their values. */
  async scopes(frameId = 1): Promise<Record<string, Record<string, string>>> {
    const { scopes } = await this.ask<{ scopes: { name: string; variablesReference: number }[] }>('scopes', {
      frameId,
    });
    const shown: Record<string, Record<string, string>> = {};
    for (const { name, variablesReference } of scopes)
      shown[name] = Object.fromEntries((await this.variables(variablesReference)).map((one) => [one.name, one.value]));
    return shown;
  }

  async variables(variablesReference: number): Promise<Variable[]> {
    return (await this.ask<{ variables: Variable[] }>('variables', { variablesReference })).variables;
  }

  /** The kernel's variables by name. */
  async kernelVariables(): Promise<Record<string, Variable>> {
    const { variables } = await this.ask<{ variables: Variable[] }>('inspectVariables');
    return Object.fromEntries(variables.map((one) => [one.name, one]));
  }

  /** Goes on to the end of a cell. */
  async finish(running: Promise<Ran>): Promise<Ran> {
    await this.ask('continue', { threadId: 1 });
    return running;
  }
}
