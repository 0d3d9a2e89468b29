/** The kernel's five sockets, in the thread that faces the clients. */
import { randomUUID } from 'node:crypto';
import { writeSync } from 'node:fs';
import { Reply, Router, XPublisher } from 'zeromq';
import {
  addressOf,
  type ConnectionInfo,
  decode,
  encode,
  type Header,
  type Json,
  type Message,
  newHeader,
} from '../protocol/messages';
import type { ClientChannel, Frames } from './thread-messages';

/** Called for each message of a channel, with the frames that it came in. */
type OnMessage = (channel: 'shell' | 'control', message: Message, frames: readonly Buffer[]) => void;

export class ClientSockets {
  private readonly session = randomUUID();
  private readonly heartbeat = new Reply();
  private readonly sockets = {
    shell: new Router(),
    control: new Router(),
    stdin: new Router(),
    iopub: new XPublisher(),
  };

  constructor(private readonly connection: ConnectionInfo) {}

  /**
   * What waits for the event loop to look at the sockets, or for them to open: ZeroMQ takes nothing while it binds. Who
   * has subscribed is greeted first: the next message that is sent would take the subscriber in and reach it before its
   * welcome.
   */
  private waiting: { readonly channel: ClientChannel; readonly frames: Frames }[] = [];
  private opened = false;

  /** Sends when the event loop has looked at the sockets once more, in the order of the calls. */
  send(channel: ClientChannel, frames: Frames): void {
    if (this.waiting.push({ channel, frames }) === 1 && this.opened) this.flushSoon();
  }

  /** It looks at them between the two. */
  private flushSoon(): void {
    setImmediate(() => setImmediate(() => this.flush()));
  }

  /** Sends what waits, at once: the sockets have neither a high-water mark nor a send timeout. */
  flush(): void {
    if (!this.opened) return;
    const said = this.waiting;
    this.waiting = [];
    for (const { channel, frames } of said) this.sendNow(channel, frames);
  }

  private sendNow(channel: ClientChannel, frames: Frames): void {
    this.sockets[channel].send(frames as (string | Buffer)[]).catch(() => undefined);
  }

  publish(type: string, content: Json, parent: Partial<Header>): void {
    this.send('iopub', this.published(type, content, parent));
  }

  private published(type: string, content: Json, parent: Partial<Header>): Frames {
    const header = newHeader(type, this.session, 'kernel');
    const message = { header, parent, metadata: {}, content, buffers: [], identities: [Buffer.from(type)] };
    return encode(this.connection.key, message);
  }

  reply(channel: ClientChannel, request: Message, content: Json): void {
    const header = newHeader(request.header.msg_type.replace('_request', '_reply'), this.session, 'kernel');
    const { identities } = request;
    const message = { header, parent: request.header, metadata: {}, content, buffers: [], identities };
    this.send(channel, encode(this.connection.key, message));
  }

  /**
   * Binds all sockets and listens.
   * @param onInput called with each message of the stdin channel
   * @throws Error when an address cannot be opened
   */
  async open(onMessage: OnMessage, onInput: (frames: readonly Buffer[]) => void): Promise<void> {
    const { sockets, connection: info } = this;
    sockets.iopub.verbosity = 'allSubs';
    for (const socket of Object.values(sockets)) Object.assign(socket, { sendHighWaterMark: 0, sendTimeout: 0 });
    for (const socket of [...Object.values(sockets), this.heartbeat]) socket.linger = 1000;
    await this.bind(sockets.iopub, info.iopub_port);
    await this.bind(sockets.shell, info.shell_port);
    await this.bind(sockets.control, info.control_port);
    await this.bind(sockets.stdin, info.stdin_port);
    await this.bind(this.heartbeat, info.hb_port);
    this.opened = true;
    this.flushSoon();
    void this.listen('shell', onMessage);
    void this.listen('control', onMessage);
    void each(sockets.stdin, onInput);
    void each(this.heartbeat, (frames) => this.heartbeat.send(frames));
    // Greets who subscribes.
    void each(sockets.iopub, ([frame]) => {
      if (frame[0] !== 1) return;
      const subscription = frame.subarray(1).toString();
      this.sendNow('iopub', this.published('iopub_welcome', { subscription }, {}));
    });
  }

  private async bind(socket: Router | XPublisher | Reply, port: number): Promise<void> {
    const address = addressOf(this.connection, port);
    await socket.bind(address).catch((error: Error) => {
      throw new Error(`${address} cannot be opened: ${error.message}`);
    });
  }

  private listen(channel: 'shell' | 'control', onMessage: OnMessage): Promise<void> {
    return each(this.sockets[channel], (frames) => {
      try {
        onMessage(channel, decode(this.connection.key, frames), frames);
      } catch (error) {
        // A thread's own stderr waits for the main thread.
        writeSync(2, `unilab kernel: ${(error as Error).message}\n`);
      }
    });
  }

  close(): void {
    this.flush();
    for (const socket of [...Object.values(this.sockets), this.heartbeat]) socket.close();
  }
}

async function each(socket: AsyncIterable<Buffer[]>, handle: (frames: Buffer[]) => unknown): Promise<void> {
  for await (const frames of socket) await handle(frames);
}
