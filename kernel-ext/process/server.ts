/** What the main thread does for the kernel's clients: it runs cells, and answers what concerns them. */
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import type { CellRunner } from './cell-runner';
import { Comms } from '../protocol/comms';
import { failureOf } from './errors';
import { Execution } from './execution';
import type { ChildPipes } from './standard-output';
import { History } from '../protocol/history';
import { OutputQueue } from '../protocol/output-queue';
import { InputRequests } from '../protocol/input-requests';
import {
  type ConnectionInfo,
  decode,
  encode,
  type Header,
  type Json,
  type Message,
  newHeader,
} from '../protocol/messages';
import type { ClientLink } from '../threads/client-link';
import type { ClientChannel } from '../threads/thread-messages';

/** The kernel's own words, to whoever started it: cells' stderr goes to the clients. */
const writeToStarter = process.stderr.write.bind(process.stderr);

interface Waiting {
  readonly channel: ClientChannel;
  readonly message: Message;
}

export class KernelServer {
  readonly comms: Comms;
  private readonly session = randomUUID();
  private readonly history = new History();
  private readonly output = new OutputQueue((type, content, parent, extra) => {
    this.sendFrames('iopub', { type, content, parent, identities: [Buffer.from(type)], ...extra });
  });
  private readonly waiting: Waiting[] = [];
  private draining = false;
  /** Runs cells and publishes their output. */
  readonly execution: Execution;
  readonly inputRequests = new InputRequests(this.session, (header, content, { identities, header: parent }) => {
    const message = { header, parent, metadata: {}, content, identities, buffers: [] };
    this.clients.send('stdin', encode(this.connection.key, message));
  });

  /**
   * @param connection where clients connect
   * @param clients the thread that has the sockets
   * @param onShutdown called when a client has asked for a shutdown and has got its reply
   */
  constructor(
    private readonly cells: CellRunner,
    private readonly connection: ConnectionInfo,
    private readonly clients: ClientLink,
    private readonly onShutdown: () => void,
  ) {
    this.execution = new Execution(cells, this.output, this.history);
    this.comms = new Comms(
      (type, content, { metadata, buffers = [] }, parent) => {
        const copies = buffers.map((bytes) => Buffer.from(bytes));
        this.output.push(type, content, parent ?? this.execution.parent, { metadata, buffers: copies });
      },
      cells.gate.bind,
      (error) => this.report(error),
    );
    clients.listen((channel, frames) => void this.receive(channel, frames));
  }

  /** Settles when clients can connect. @throws Error when a socket cannot be opened */
  async open(): Promise<void> {
    await this.clients.ready;
    this.output.push('status', { execution_state: 'starting' }, {});
  }

  /** Closes the sockets; the process may end when this settles. */
  close(): Promise<void> {
    return this.clients.close();
  }

  private sendFrames(
    channel: ClientChannel,
    message: {
      type: string;
      content: Json;
      parent: Partial<Header>;
      identities: readonly Buffer[];
      metadata?: Json;
      buffers?: readonly Buffer[];
    },
  ): void {
    const { type, content, parent, identities, metadata = {}, buffers = [] } = message;
    const header = newHeader(type, this.session, 'kernel');
    const whole = { header, parent, metadata, content, identities, buffers };
    this.clients.send(channel, encode(this.connection.key, whole));
  }

  private reply(channel: ClientChannel, request: Message, type: string, content: Json): void {
    this.sendFrames(channel, { type, content, parent: request.header, identities: request.identities });
  }

  private status(state: 'busy' | 'idle', parent: Partial<Header>): void {
    this.output.push('status', { execution_state: state }, parent);
  }

  private async receive(channel: ClientChannel, frames: Buffer[]): Promise<void> {
    const message = decode(this.connection.key, frames);
    if (channel === 'stdin') this.inputRequests.receive(message);
    else if (!['execute_request', 'history_request'].includes(message.header.msg_type)) {
      await this.answerNow(channel, message);
    } else {
      this.waiting.push({ channel, message });
      if (!this.draining) await this.drain();
    }
  }

  /** Runs what waits, one after the other. */
  private async drain(): Promise<void> {
    this.draining = true;
    try {
      for (let next = this.waiting.shift(); next; next = this.waiting.shift()) {
        const { channel, message } = next;
        this.status('busy', message.header);
        try {
          if (message.header.msg_type === 'execute_request') await this.execute(channel, message);
          else
            this.reply(channel, message, 'history_reply', {
              status: 'ok',
              history: this.history.query(message.content),
            });
        } catch (error) {
          const failure = failureOf(error, this.cells.compiler.codeMap);
          this.reply(channel, message, message.header.msg_type.replace('_request', '_reply'), {
            status: 'error',
            ...failure,
          });
        } finally {
          await this.output.drained();
          this.status('idle', message.header);
        }
      }
    } finally {
      this.draining = false;
    }
  }

  /** Requests that need not wait for a running cell. */
  private async answerNow(channel: ClientChannel, message: Message): Promise<void> {
    const type = message.header.msg_type;
    const answer = (content: object): void =>
      this.reply(channel, message, type.replace('_request', '_reply'), { status: 'ok', ...content });
    this.status('busy', message.header);
    try {
      switch (type) {
        case 'comm_info_request':
          answer({ comms: this.comms.info(message.content.target_name) });
          break;
        case 'comm_open':
        case 'comm_msg':
        case 'comm_close':
          this.comms.handle(message.header, message.content, message.buffers);
          break;
        case 'interrupt_request':
          this.interrupt();
          answer({});
          break;
        case 'shutdown_request':
          answer({ restart: message.content.restart === true });
          break;
        default:
          writeToStarter(`unilab kernel: a message of the unknown type ${inspect(type)} was ignored\n`);
      }
    } catch (error) {
      answer({ status: 'error', ...failureOf(error, this.cells.compiler.codeMap) });
    } finally {
      await this.output.drained();
      this.status('idle', message.header);
      // A client that looks at the last status only must still see that a cell runs.
      if (this.execution.request) this.status('busy', this.execution.request.header);
    }
    if (type === 'shutdown_request') this.onShutdown();
  }

  private async execute(channel: ClientChannel, request: Message): Promise<void> {
    this.clients.executing(request.header);
    const content = await this.execution.execute(request).finally(() => this.clients.executing(undefined));
    if (content.status === 'error' && request.content.stop_on_error !== false) await this.abortWaiting();
    this.reply(channel, request, 'execute_reply', content);
  }

  /** After an error: what was queued behind the cell is not run. What comes later is. */
  private async abortWaiting(): Promise<void> {
    await this.clients.caughtUp();
    this.clients.executing(undefined);
    for (const { channel, message } of this.waiting.splice(0)) {
      this.status('busy', message.header);
      if (message.header.msg_type === 'execute_request')
        this.reply(channel, message, 'execute_reply', { status: 'aborted', execution_count: this.execution.count });
      else
        this.reply(channel, message, 'history_reply', { status: 'ok', history: this.history.query(message.content) });
      this.status('idle', message.header);
    }
  }

  /** Stops the running cell. */
  interrupt(): void {
    this.inputRequests.cancelAll();
    this.cells.interrupt();
  }

  /** Asks the user for a line of text. @throws Error if the client takes no input */
  async ask(prompt: string, password: boolean): Promise<string> {
    await this.output.drained();
    return this.inputRequests.ask(this.execution.request, prompt, password);
  }

  /** Takes what children print for output of their cell. */
  readChildren(pipes: ChildPipes): void {
    this.clients.readChildren(pipes);
  }

  /** Sends what was written so far, before a child writes on. */
  flush(): void {
    this.output.flush();
    this.clients.waitUntilSent();
  }

  /** Writes an error with its author's lines, as output of the code that runs now. */
  private report(error: unknown): void {
    const { traceback } = failureOf(error, this.cells.compiler.codeMap);
    this.execution.write('stderr', `${traceback.join('\n')}\n`);
  }

  /** Everything that was written so far has left, and the history is kept. */
  async settle(): Promise<void> {
    await this.output.drained();
    await this.history.flush();
  }
}
