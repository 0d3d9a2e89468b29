/** What the kernel's tests share: a real kernel process, and what a cell brought. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KernelClient } from '../../kernel-ext/protocol/client';
import { kernelSpec } from '../../kernel-ext/process/kernelspec';
import { eventually, within } from '../eventually';
import type { Header, Json, Message } from '../../kernel-ext/protocol/messages';

/** `UNILAB_TEST_PLAIN=1` runs these tests against plain tslab, to see them fail. */
const plainTslab = [
  process.execPath,
  path.join(__dirname, '../../node_modules/tslab/bin/tslab'),
  'kernel',
  '--config-path',
  '{connection_file}',
];

/** In a cell: tells {@link TestKernel.begins} at once. */
export const begun = "require('node:fs').writeFileSync('begun', '');";
/** In a cell: tells it in a later turn of the event loop, when the cell awaits. */
export const begunWaiting = `setImmediate(() => { ${begun} });`;
/** In a cell: what is true until {@link TestKernel.goOn}. */
export const isToWait = "!require('node:fs').existsSync('go')";
/** In a cell: awaits {@link TestKernel.goOn}. */
export const awaitsGo = `while (${isToWait}) await new Promise((resolve) => setTimeout(resolve, 10));`;

/** Longest wait for an answer, in milliseconds; plain tslab leaves some requests without one. */
const patience = process.env.UNILAB_TEST_PLAIN ? 10_000 : 240_000;

/** Everything that came for one request. */
export interface Ran {
  readonly reply: Json;
  /** What was published, without status and execute_input. */
  readonly outputs: readonly Message[];
  /** All that was published, in order. */
  readonly all: readonly Message[];
  readonly stdout: string;
  readonly stderr: string;
  readonly result?: Record<string, string>;
  readonly milliseconds: number;
}

export class TestKernel {
  private constructor(
    readonly client: KernelClient,
    readonly folder: string,
    private readonly own: boolean,
  ) {}

  /** Starts a kernel in a fresh folder, or the one given. */
  static async start(folder?: string, env: Record<string, string | undefined> = {}): Promise<TestKernel> {
    const cwd = folder ?? mkdtempSync(path.join(tmpdir(), 'unilab-notebooks-'));
    const client = await KernelClient.start({
      argv: process.env.UNILAB_TEST_PLAIN ? plainTslab : kernelSpec().argv,
      cwd,
      timeout: 240_000,
      transport: process.env.UNILAB_TEST_PLAIN ? 'tcp' : undefined,
      env: { UNILAB_HISTORY: path.join(cwd, 'history.jsonl'), ...env },
    });
    return new TestKernel(client, cwd, folder === undefined);
  }

  /** Runs code and waits for its reply and its idle. */
  async run(code: string, options: Json = {}): Promise<Ran> {
    return this.send('execute_request', {
      code,
      silent: false,
      store_history: true,
      user_expressions: {},
      allow_stdin: this.client.onInput !== undefined,
      stop_on_error: true,
      ...options,
    });
  }

  /** Sends any request and waits for its reply and its idle. */
  async send(
    type: string,
    content: Json,
    channel: 'shell' | 'control' = 'shell',
    header: Partial<Header> = {},
  ): Promise<Ran> {
    const all: Message[] = [];
    const begun = performance.now();
    const request = this.client.request(type, content, channel, (message) => all.push(message), header);
    const both = Promise.all([request.reply, request.idle]);
    const [reply] = await within(both, `reply and idle to ${type}`, patience);
    const outputs = all.filter((one) => !['status', 'execute_input'].includes(one.header.msg_type));
    const stream = (name: string): string =>
      outputs
        .filter((one) => one.header.msg_type === 'stream' && one.content.name === name)
        .map((one) => String(one.content.text))
        .join('');
    const result = outputs.find((one) => one.header.msg_type === 'execute_result');
    return {
      reply: reply.content,
      outputs,
      all,
      stdout: stream('stdout'),
      stderr: stream('stderr'),
      result: result?.content.data as Record<string, string> | undefined,
      milliseconds: performance.now() - begun,
    };
  }

  /** Waits until a cell has said that it has begun. */
  async begins(): Promise<void> {
    const mark = path.join(this.folder, 'begun');
    await eventually(() => rmSync(mark));
  }

  /** Lets cells go on that wait for it, while `during` lasts: whoever waits next waits anew. */
  async goOn<T>(during: Promise<T>): Promise<T> {
    const mark = path.join(this.folder, 'go');
    writeFileSync(mark, '');
    const result = await during;
    rmSync(mark);
    return result;
  }

  /**
   * Waits for signals that are on their way: their threads get their turns as the main thread does, so the wait is as
   * long as the machine is slow.
   */
  async quiet(): Promise<void> {
    for (let i = 0; i < 10; i++) {
      await this.send('comm_info_request', {});
      await sleep(10);
    }
  }

  async stop(): Promise<void> {
    await this.client.shutdown();
    if (this.own) rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Types of messages, in order. */
export function types(messages: readonly Message[]): string[] {
  return messages.map((one) => one.header.msg_type);
}
