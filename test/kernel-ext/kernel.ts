/** What the kernel's tests share: a real kernel process, and what a cell brought. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KernelClient } from '../../kernel-ext/protocol/client';
import { kernelSpec } from '../../kernel-ext/process/kernelspec';
import type { Header, Json, Message } from '../../kernel-ext/protocol/messages';

/** `UNILAB_TEST_PLAIN=1` runs these tests against plain tslab, to see them fail. */
const plainTslab = [
  process.execPath,
  path.join(__dirname, '../../node_modules/tslab/bin/tslab'),
  'kernel',
  '--config-path',
  '{connection_file}',
];

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
      timeout: 120_000,
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
    const late = sleep(patience, undefined, { ref: false }).then(() =>
      Promise.reject(new Error(`no reply or no idle to ${type}`)),
    );
    const [reply] = await Promise.race([both, late]);
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

  async stop(): Promise<void> {
    await this.client.shutdown();
    if (this.own) rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Types of messages, in order. */
export function types(messages: readonly Message[]): string[] {
  return messages.map((one) => one.header.msg_type);
}
