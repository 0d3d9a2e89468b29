/** A small Jupyter client: starts a kernel process and runs cells in it. The headless runner and the tests sit on it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { Dealer, Subscriber } from 'zeromq';
import { writeFileAtomic } from '../../src/io/write-file';
import { rejectedBy } from './abort';
import { type Pending, promised, type Request } from './requests';
import { newConnection, privateFolder, removeFolder, type Transport } from './connection';
import {
  addressOf,
  type ConnectionInfo,
  decode,
  encode,
  type Header,
  type Json,
  type Message,
  newHeader,
} from './messages';

export interface StartOptions {
  /** The kernelspec's command, with `{connection_file}` in it. */
  readonly argv: readonly string[];
  /** The kernel's working folder: the notebook's. */
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Longest wait until the kernel answers, in milliseconds. Default 60,000. */
  readonly timeout?: number;
  /** Where the kernel's own stderr (not that of cells) goes. Default `inherit`. */
  readonly stderr?: 'inherit' | 'ignore' | 'pipe';
  /**
   * How kernel and client connect. Default `ipc` (sockets in a private folder) where the system has it: a TCP port that is
   * free now may be taken by the time that the kernel has started, even by a client that tries to reach the kernel.
   */
  readonly transport?: Transport;
  /** Aborted: the start is given up, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** How the process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export type Channel = 'shell' | 'control';

/** The kernel's process ended while something was expected of it. */
export class KernelDied extends Error {
  override readonly name = 'KernelDied';
  constructor(readonly exit: Exit) {
    super(`the kernel died (${exit.signal ? `signal ${exit.signal}` : `exit status ${exit.code}`})`);
  }
}

/**
 * Sockets look for the kernel while it starts. ZeroMQ's own pause between two tries, 100 to 200 milliseconds, is longer
 * than the kernel's start.
 */
const soon = { reconnectInterval: 5 } as const;

/** Neither a kernel nor its folder outlives this process. */
const openClients = new Set<KernelClient>();
process.on('exit', () => openClients.forEach((client) => client.kill()));

export class KernelClient {
  /** Settles when the process has ended. */
  readonly exited: Promise<Exit>;
  private readonly session = randomUUID();
  private readonly shell = new Dealer({ ...soon, routingId: this.session, sendHighWaterMark: 0, linger: 0 });
  private readonly control = new Dealer({ ...soon, routingId: this.session, sendHighWaterMark: 0, linger: 0 });
  private readonly stdin = new Dealer({ ...soon, routingId: this.session, linger: 0 });
  private readonly iopub = new Subscriber({ ...soon, receiveHighWaterMark: 0, linger: 0 });
  private readonly pending = new Map<string, Pending>();
  private readonly listeners = new Set<(message: Message) => void>();
  private sendOrder: Promise<unknown> = Promise.resolve();
  private exit?: Exit;
  private closed = false;
  /** Answers `input(...)` of cells; without it cells cannot ask. */
  onInput?: (prompt: string, password: boolean) => string | Promise<string>;

  private constructor(
    private readonly connection: ConnectionInfo,
    readonly child: ChildProcess,
    private readonly folder: string,
  ) {
    openClients.add(this);
    this.exited = new Promise((resolve) => {
      const ended = (exit: Exit): void => {
        this.exit ??= exit;
        for (const waiting of this.pending.values()) waiting.reject(new KernelDied(exit));
        this.pending.clear();
        resolve(exit);
      };
      child.once('exit', (code, signal) => ended({ code, signal }));
      child.once('error', () => ended({ code: 127, signal: null }));
    });
  }

  /**
   * Starts a kernel and waits until it answers and its output arrives.
   * @throws KernelDied when the process ends; Error when nothing is answered in time (the process is killed)
   */
  static async start(options: StartOptions): Promise<KernelClient> {
    const folder = privateFolder();
    const connection = await newConnection(folder, options.transport);
    const file = path.join(folder, 'connection.json');
    await writeFileAtomic(file, JSON.stringify(connection), 0o600);
    const [command, ...args] = options.argv.map((part) => part.replaceAll('{connection_file}', file));
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'ignore', options.stderr ?? 'inherit'],
      // In a group of its own: Ctrl-C in a terminal reaches the client alone, who then decides.
      detached: process.platform !== 'win32',
    });
    const client = new KernelClient(connection, child, folder);
    await client.connect(options.timeout ?? 60_000, options.signal);
    return client;
  }

  private async connect(timeout: number, signal?: AbortSignal): Promise<void> {
    const { shell_port, control_port, iopub_port, stdin_port } = this.connection;
    const at = (port: number): string => addressOf(this.connection, port);
    this.shell.connect(at(shell_port));
    this.control.connect(at(control_port));
    this.stdin.connect(at(stdin_port));
    this.iopub.connect(at(iopub_port));
    this.iopub.subscribe();
    void this.listen(this.shell, (message) => this.onReply(message));
    void this.listen(this.control, (message) => this.onReply(message));
    void this.listen(this.stdin, (message) => void this.onInputRequest(message));
    let heard = false;
    void this.listen(this.iopub, (message) => {
      heard = true;
      this.onPublished(message);
    });
    const alarm = new Promise<never>((_, reject) => {
      const error = new Error(`the kernel did not answer within ${timeout / 1000} s of its start`);
      setTimeout(() => reject(error), timeout).unref();
    });
    const ready = async (): Promise<void> => {
      // A subscription takes a moment: what is published before it is lost.
      do
        await Promise.race([
          this.request('kernel_info_request', {}).reply,
          new Promise((resolve) => setTimeout(resolve, 300)),
        ]);
      while (!heard);
      const last = this.request('kernel_info_request', {});
      await last.reply;
      await last.idle;
    };
    const died = this.exited.then((exit) => Promise.reject(new KernelDied(exit)));
    const givenUp = rejectedBy(signal);
    try {
      await Promise.race([ready(), alarm, died, givenUp]);
    } catch (error) {
      this.kill();
      throw error;
    }
    givenUp.catch(() => undefined);
    died.catch(() => undefined);
    alarm.catch(() => undefined);
  }

  private async listen(socket: AsyncIterable<Buffer[]>, handle: (message: Message) => void): Promise<void> {
    for await (const frames of socket) {
      let message: Message;
      try {
        message = decode(this.connection.key, frames);
      } catch {
        continue; // not from our kernel
      }
      handle(message);
    }
  }

  private onReply(message: Message): void {
    this.pending.get(message.parent.msg_id ?? '')?.resolveReply(message);
  }

  private onPublished(message: Message): void {
    for (const listener of this.listeners) listener(message);
    const waiting = this.pending.get(message.parent.msg_id ?? '');
    if (!waiting) return;
    waiting.onOutput?.(message);
    if (message.header.msg_type === 'status' && message.content.execution_state === 'idle') waiting.resolveIdle();
  }

  private async onInputRequest(message: Message): Promise<void> {
    if (message.header.msg_type !== 'input_request') return;
    const value = (await this.onInput?.(String(message.content.prompt), message.content.password === true)) ?? '';
    const header = newHeader('input_reply', this.session);
    await this.stdin.send(
      encode(this.connection.key, {
        header,
        parent: message.header,
        metadata: {},
        content: { value },
        identities: [],
        buffers: [],
      }),
    );
  }

  /** Hears every message that the kernel publishes. @returns stops hearing */
  onMessage(listener: (message: Message) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * Sends a request.
   * @param onOutput receives what is published for it, in order
   * @param more of its header, as the subshell that it is for
   */
  request(
    type: string,
    content: Json,
    channel: Channel = 'shell',
    onOutput?: (message: Message) => void,
    more: Partial<Header> = {},
    buffers: readonly Buffer[] = [],
  ): Request {
    const header = { ...newHeader(type, this.session), ...more };
    const frames = encode(this.connection.key, {
      header,
      parent: {},
      metadata: {},
      content,
      identities: [],
      buffers,
    });
    const { reply, idle, ...pending } = promised();
    if (this.exit) pending.reject(new KernelDied(this.exit));
    else {
      this.pending.set(header.msg_id, { ...pending, onOutput });
      void Promise.allSettled([reply, idle]).then(() => this.pending.delete(header.msg_id));
      const socket = channel === 'shell' ? this.shell : this.control;
      this.sendOrder = this.sendOrder.then(() => (this.closed ? undefined : socket.send(frames)));
    }
    return { id: header.msg_id, reply, idle };
  }

  /** Runs code. @param onOutput receives stream, display_data, execute_result, error, status and the rest, in order */
  execute(code: string, options: Json = {}, onOutput?: (message: Message) => void): Request {
    const content = {
      code,
      silent: false,
      store_history: true,
      user_expressions: {},
      allow_stdin: this.onInput !== undefined,
      stop_on_error: true,
      ...options,
    };
    return this.request('execute_request', content, 'shell', onOutput);
  }

  /** Interrupts the running cell, by signal as the kernelspec says. */
  interrupt(): void {
    this.child.kill('SIGINT');
  }

  /** Asks the kernel to end, and kills it where it does not within five seconds, as Jupyter does. */
  async shutdown(): Promise<Exit> {
    if (!this.exit) {
      this.request('shutdown_request', { restart: false }, 'control');
      const alarm = setTimeout(() => this.child.kill('SIGKILL'), 5000);
      await this.exited;
      clearTimeout(alarm);
    }
    this.close();
    return this.exited;
  }

  /** Ends the process without asking. */
  kill(): void {
    this.child.kill('SIGKILL');
    this.close();
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const socket of [this.shell, this.control, this.stdin, this.iopub]) socket.close();
    openClients.delete(this);
    removeFolder(this.folder);
  }
}
