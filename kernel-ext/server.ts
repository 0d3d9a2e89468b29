/** The kernel process towards its clients: sockets of tslab's server, the protocol 5.4 in full. */
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import type { Publisher, Router } from 'zeromq';
import type { CellRunner, Outcome } from './cells';
import { Comms } from './comms';
import { type Failure, failureOf } from './errors';
import { CellHandler } from './handler';
import { History } from './history';
import { OutputQueue } from './iopub';
import { flushLive, type MimeBundle, renderValue } from './render';
import { decode, encode, type Header, type Json, type Message, newHeader, textOf } from './wire';
// After ./handler, which loads the patched compiler first.
import { ZmqServer } from 'tslab/dist/jupyter';

/** The kernel's own words, to whoever started it: cells' stderr goes to the clients. */
const complain = process.stderr.write.bind(process.stderr);

/** A cell that is being run. */
interface Running {
  readonly request: Message;
  readonly socket: Router;
  readonly silent: boolean;
  readonly mayAsk: boolean;
  /** Displays of the cell that are on their way; one that fails, fails the cell. */
  readonly displays: Promise<void>[];
}

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
  private working = false;
  private running?: Running;
  /** Whom output belongs to: the running cell, or the last one. */
  private parent: Partial<Header> = {};
  private muted = false;
  private count = 0;
  private readonly answers = new Map<string, (value: string) => void>();

  /** @param onShutdown called once a client asked for the end and was answered */
  constructor(
    private readonly cells: CellRunner,
    connectionFile: string,
    private readonly onShutdown: () => void,
    private readonly onReady: () => void,
  ) {
    super(new CellHandler(cells.executor), connectionFile);
    this.comms = new Comms((type, content, buffers) => this.output.push(type, content, this.parent, { buffers }));
  }

  override async init(): Promise<void> {
    const zmq = await import('zeromq');
    // tslab's sockets, except that the publisher learns of its subscribers (and greets them) ...
    // Private in tslab's types, which is why it is reached around them.
    const tslabServer = this as unknown as { bindSocket(socket: unknown, port: number): Promise<void> };
    const bind = tslabServer.bindSocket.bind(this);
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
        await bind(bound, port);
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
      complain(`unilab kernel: ${(error as Error).message}\n`);
      return;
    }
    const ordered = ['execute_request', 'history_request'].includes(message.header.msg_type);
    if (!ordered) {
      await this.answerNow(socket, message);
      return;
    }
    this.waiting.push({ socket, message });
    if (!this.working) await this.work();
  }

  /** Runs what waits, one after the other. */
  private async work(): Promise<void> {
    this.working = true;
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
      this.working = false;
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
          answer(this.handler.handleInspect(message.content as never));
          break;
        case 'complete_request':
          answer(this.handler.handleComplete(message.content as never));
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
          complain(`unilab kernel: a message of the unknown type ${inspect(type)} was ignored\n`);
      }
    } catch (error) {
      answer({ status: 'error', ...failureOf(error, this.cells.compiler.codeMap) });
    } finally {
      await this.output.drained();
      this.status('idle', message.header);
      // A client that looks at the last status only must still see that a cell runs.
      if (this.running) this.status('busy', this.running.request.header);
    }
    if (type === 'shutdown_request') this.onShutdown();
  }

  private async execute(socket: Router, request: Message): Promise<void> {
    const { content } = request;
    const code = textOf(content.code);
    const silent = content.silent === true;
    const stored = !silent && content.store_history !== false;
    if (stored) this.count += 1;
    const count = this.count;
    this.parent = request.header;
    this.muted = silent;
    const running: Running = { request, socket, silent, mayAsk: content.allow_stdin !== false, displays: [] };
    this.running = running;
    if (!silent) this.output.push('execute_input', { code, execution_count: count }, request.header);

    let outcome: Outcome = await this.cells.run(code, `cell-${count}`);
    const shown = outcome.status === 'ok' && outcome.value ? renderValue(outcome.value.value) : undefined;
    shown?.catch(() => undefined); // looked at below
    outcome = await this.settleDisplays(running, outcome);
    let text: string | undefined;
    if (outcome.status === 'ok' && shown) {
      try {
        const data = await shown;
        text = textOf(data['text/plain']);
        if (!silent) this.output.push('execute_result', { execution_count: count, data, metadata: {} }, request.header);
      } catch (error) {
        outcome = { status: 'error', failure: failureOf(error, this.cells.compiler.codeMap) };
      }
    }
    if (outcome.status === 'error' && !silent) this.output.push('error', { ...outcome.failure }, request.header);
    if (stored) this.history.add(count, code, text);
    const expressions = outcome.status === 'ok' ? await this.userExpressions(content.user_expressions) : {};
    await this.output.drained();
    this.running = undefined;
    if (outcome.status === 'error' && content.stop_on_error !== false) await this.abortWaiting();
    const rest = { execution_count: count, user_expressions: expressions, payload: [] };
    const result =
      outcome.status === 'ok' ? { status: 'ok', ...rest } : { status: 'error', ...outcome.failure, ...rest };
    this.reply(socket, request, 'execute_reply', result);
  }

  /** Waits for the cell's displays and brings live ones into their final state; a failing one fails the cell. */
  private async settleDisplays(running: Running, outcome: Outcome): Promise<Outcome> {
    const failures: unknown[] = [];
    const note = (result: PromiseSettledResult<void>): void =>
      void (result.status === 'rejected' && failures.push(result.reason));
    (await flushLive()).forEach(note);
    // Displays may bring more displays.
    for (let seen = 0; seen < running.displays.length;) {
      const batch = running.displays.slice(seen);
      seen = running.displays.length;
      (await Promise.allSettled(batch)).forEach(note);
    }
    if (outcome.status === 'error' || failures.length === 0) return outcome;
    return { status: 'error', failure: failureOf(failures[0], this.cells.compiler.codeMap) };
  }

  /** After an error: what was queued behind the cell is not run. What comes later is. */
  private async abortWaiting(): Promise<void> {
    // What clients have sent by now may still lie in the socket: two turns of the event loop bring it in.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    for (const { socket, message } of this.waiting.splice(0)) {
      this.status('busy', message.header);
      if (message.header.msg_type === 'execute_request')
        this.reply(socket, message, 'execute_reply', { status: 'aborted', execution_count: this.count });
      else this.reply(socket, message, 'history_reply', { status: 'ok', history: this.history.query(message.content) });
      this.status('idle', message.header);
    }
  }

  private async userExpressions(asked: unknown): Promise<Json> {
    const results: Record<string, object> = {};
    for (const [name, expression] of Object.entries((asked ?? {}) as Record<string, unknown>)) {
      const outcome = await this.cells.run(`(${String(expression)}\n)`, 'user-expression');
      if (outcome.status === 'error') results[name] = { status: 'error', ...outcome.failure };
      else {
        const data: MimeBundle = outcome.value ? await renderValue(outcome.value.value) : { 'text/plain': 'undefined' };
        results[name] = { status: 'ok', data, metadata: {} };
      }
    }
    return results;
  }

  /** Text that a cell (or the last one's timers) wrote. */
  write(name: 'stdout' | 'stderr', text: string): void {
    if (!this.muted) this.output.write(name, text, this.parent);
  }

  /** A display of a cell. The promise settles when it was sent. */
  show(type: 'display_data' | 'update_display_data', bundle: Promise<MimeBundle>, id?: string): Promise<void> {
    if (this.muted) return bundle.then(() => undefined);
    const transient = id === undefined ? {} : { display_id: id };
    const sent = this.output.pushLater(
      type,
      bundle.then((data): Json => ({ data, metadata: {}, transient })),
      this.parent,
    );
    if (this.running) {
      this.running.displays.push(sent);
      sent.catch(() => undefined); // the cell looks at it when it ends
    }
    return sent;
  }

  /** Clears the output of the running cell. */
  clear(wait: boolean): void {
    if (!this.muted) this.output.push('clear_output', { wait }, this.parent);
  }

  /** Stops the running cell. */
  interrupt(): void {
    for (const answer of this.answers.values()) answer('');
    this.answers.clear();
    this.cells.interrupt();
  }

  /** Asks the person at the client for a line. @throws Error where nobody can be asked */
  async ask(prompt: string, password: boolean): Promise<string> {
    const running = this.running;
    if (!running?.mayAsk) throw new Error('input(): nobody can be asked here, this client does not take input');
    await this.output.drained();
    const id = randomUUID();
    const header = { ...newHeader('input_request', this.session, 'kernel'), msg_id: id };
    const { identities } = running.request;
    const message = {
      header,
      parent: running.request.header,
      metadata: {},
      content: { prompt, password },
      identities,
      buffers: [],
    };
    return new Promise((resolve) => {
      this.answers.set(id, resolve);
      this.stdin.send(encode(this.connInfo.key, message)).catch(() => undefined);
    });
  }

  private async listenForInput(): Promise<void> {
    for await (const frames of this.stdin as AsyncIterable<Buffer[]>) {
      try {
        const message = decode(this.connInfo.key, frames);
        if (message.header.msg_type !== 'input_reply') continue;
        // Clients differ in what they name as the parent: there is one question at a time.
        const [[id, answer]] = [...this.answers];
        this.answers.delete(id);
        answer(textOf(message.content.value));
      } catch (error) {
        complain(`unilab kernel: ${(error as Error).message}\n`);
      }
    }
  }

  /** Everything that was written so far has left. */
  async settle(): Promise<void> {
    await this.output.drained();
  }
}

export type { Failure };
