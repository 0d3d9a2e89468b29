/** The kernel process towards its clients: sockets of tslab's server, the protocol 5.4 in full. */
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import type { Publisher, Router } from 'zeromq';
import type { CellRunner } from './cell-runner';
import { Comms } from '../protocol/comms';
import { failureOf } from './errors';
import { Execution } from './execution';
import { CellHandler } from './handler';
import { History } from '../protocol/history';
import { OutputQueue } from '../protocol/output-queue';
import { InputRequests } from '../protocol/input-requests';
import { ZmqServer } from './tslab';
import { addressOf, decode, encode, type Header, type Json, type Message, newHeader } from '../protocol/messages';

/** The position in the code that a request is about. */
const codePosition = ({ code, cursor_pos: at }: Json): { code: string; cursor_pos: number } => ({
  code: String(code),
  cursor_pos: Number(at),
});

/** The kernel's own words, to whoever started it: cells' stderr goes to the clients. */
const writeToStarter = process.stderr.write.bind(process.stderr);

interface Waiting {
  readonly socket: Router;
  readonly message: Message;
}

export class KernelServer extends ZmqServer {
  readonly comms: Comms;
  private readonly session = randomUUID();
  private readonly history = new History();
  private readonly output = new OutputQueue((type, content, parent, extra) => {
    this.sendFrames(this.iopub, { type, content, parent, identities: [Buffer.from(type)], ...extra });
  });
  private readonly waiting: Waiting[] = [];
  private draining = false;
  /** Runs cells and publishes their output. */
  readonly execution: Execution;
  readonly inputRequests = new InputRequests(this.session, (header, content, { identities, header: parent }) => {
    const message = { header, parent, metadata: {}, content, identities, buffers: [] };
    this.stdin.send(encode(this.connInfo.key, message)).catch(() => undefined);
  });

  /** @param onShutdown called when a client has asked for a shutdown and has got its reply */
  constructor(
    private readonly cells: CellRunner,
    connectionFile: string,
    private readonly onShutdown: () => void,
    private readonly onReady: () => void,
  ) {
    super(new CellHandler(cells), connectionFile);
    this.execution = new Execution(cells, this.output, this.history);
    this.comms = new Comms((type, content, buffers) =>
      this.output.push(type, content, this.execution.parent, { buffers }),
    );
  }

  override async init(): Promise<void> {
    const zmq = require('zeromq') as typeof import('zeromq');
    // tslab's sockets, except that the publisher learns of its subscribers (and greets them) ...
    // Private in tslab's types, which is why it is reached around them.
    Object.defineProperty(this, 'bindSocket', {
      value: async (socket: Router | Publisher, port: number): Promise<void> => {
        let bound = socket;
        if ((socket as unknown) === this.iopub) {
          const publisher = new zmq.XPublisher();
          publisher.verbosity = 'allSubs';
          this.iopub.close();
          this.iopub = publisher as unknown as Publisher;
          bound = this.iopub;
          void this.greet(publisher);
        }
        // ... and that no message is refused or dropped while another one is on its way.
        Object.assign(bound, { sendHighWaterMark: 0, linger: 1000 });
        if ((bound as unknown) !== this.hb) Object.assign(bound, { sendTimeout: 0 });
        if ((bound as unknown) === this.stdin) void this.listenForInput();
        const address = addressOf(this.connInfo, port);
        await bound.bind(address).catch((error: Error) => {
          throw new Error(`${address} cannot be opened: ${error.message}`);
        });
      },
    });
    await super.init();
    this.output.push('status', { execution_state: 'starting' }, {});
  }

  private async greet(publisher: AsyncIterable<Buffer[]>): Promise<void> {
    for await (const [frame] of publisher) {
      if (frame[0] !== 1) continue;
      const subscription = frame.subarray(1).toString();
      this.output.push('iopub_welcome', { subscription }, {});
    }
  }

  private sendFrames(
    socket: { send(frames: (string | Buffer)[]): Promise<void> },
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
    // Never waits: the sockets have neither a high-water mark nor a send timeout.
    socket
      .send(encode(this.connInfo.key, { header, parent, metadata, content, identities, buffers }))
      .catch(() => undefined);
  }

  private reply(socket: Router, request: Message, type: string, content: Json): void {
    this.sendFrames(socket, { type, content, parent: request.header, identities: request.identities });
  }

  private status(state: 'busy' | 'idle', parent: Partial<Header>): void {
    this.output.push('status', { execution_state: state }, parent);
  }

  override async handleShellMessage(socket: Router, ...frames: Buffer[]): Promise<void> {
    let message: Message;
    try {
      message = decode(this.connInfo.key, frames);
    } catch (error) {
      writeToStarter(`unilab kernel: ${(error as Error).message}\n`);
      return;
    }
    const ordered = ['execute_request', 'history_request'].includes(message.header.msg_type);
    if (!ordered) {
      await this.answerNow(socket, message);
      return;
    }
    this.waiting.push({ socket, message });
    if (!this.draining) await this.drain();
  }

  /** Runs what waits, one after the other. */
  private async drain(): Promise<void> {
    this.draining = true;
    try {
      for (let next = this.waiting.shift(); next; next = this.waiting.shift()) {
        const { socket, message } = next;
        this.status('busy', message.header);
        try {
          if (message.header.msg_type === 'execute_request') await this.execute(socket, message);
          else
            this.reply(socket, message, 'history_reply', {
              status: 'ok',
              history: this.history.query(message.content),
            });
        } catch (error) {
          const failure = failureOf(error, this.cells.compiler.codeMap);
          this.reply(socket, message, message.header.msg_type.replace('_request', '_reply'), {
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
  private async answerNow(socket: Router, message: Message): Promise<void> {
    const type = message.header.msg_type;
    const answer = (content: object): void =>
      this.reply(socket, message, type.replace('_request', '_reply'), { status: 'ok', ...content });
    this.status('busy', message.header);
    try {
      switch (type) {
        case 'kernel_info_request':
          answer(this.handler.handleKernel());
          this.onReady();
          break;
        case 'is_complete_request':
          answer(this.handler.handleIsComplete({ code: String(message.content.code) }));
          break;
        case 'inspect_request':
          answer(
            this.handler.handleInspect({
              ...codePosition(message.content),
              detail_level: message.content.detail_level === 1 ? 1 : 0,
            }),
          );
          break;
        case 'complete_request':
          answer(this.handler.handleComplete(codePosition(message.content)));
          break;
        case 'comm_info_request':
          answer({ comms: this.comms.info(message.content.target_name) });
          break;
        case 'comm_open':
        case 'comm_msg':
        case 'comm_close':
          this.comms.handle(type, message.content, message.buffers);
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

  private async execute(socket: Router, request: Message): Promise<void> {
    const content = await this.execution.execute(request);
    if (content.status === 'error' && request.content.stop_on_error !== false) await this.abortWaiting();
    this.reply(socket, request, 'execute_reply', content);
  }

  /** After an error: what was queued behind the cell is not run. What comes later is. */
  private async abortWaiting(): Promise<void> {
    // What clients have sent by now may still lie in the socket: two turns of the event loop bring it in.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    for (const { socket, message } of this.waiting.splice(0)) {
      this.status('busy', message.header);
      if (message.header.msg_type === 'execute_request')
        this.reply(socket, message, 'execute_reply', { status: 'aborted', execution_count: this.execution.count });
      else this.reply(socket, message, 'history_reply', { status: 'ok', history: this.history.query(message.content) });
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

  private async listenForInput(): Promise<void> {
    for await (const frames of this.stdin as AsyncIterable<Buffer[]>) {
      try {
        this.inputRequests.receive(decode(this.connInfo.key, frames));
      } catch (error) {
        writeToStarter(`unilab kernel: ${(error as Error).message}\n`);
      }
    }
  }

  /** Everything that was written so far has left, and the history is kept. */
  async settle(): Promise<void> {
    await this.output.drained();
    await this.history.flush();
  }
}
