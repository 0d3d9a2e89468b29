/** The main thread's side of the thread that faces the clients. */
import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import type { ChildPipes } from '../process/standard-output';
import type { Header } from '../protocol/messages';
import { type OnThreadFailure, startThread } from './start-thread';
import {
  type ClientChannel,
  type ClientThreadData,
  flags,
  type FromClientThread,
  type ToClientThread,
} from './thread-messages';

type OnFrames = (channel: ClientChannel, frames: Buffer[]) => void;

/** Longest wait of {@link ClientLink.waitUntilSent}, in milliseconds. */
const longestWait = 200;

/** A copied frame takes all memory that it shares with others with it: those that are a part get memory of their own. */
const alone = (frame: string | Uint8Array): string | Uint8Array =>
  typeof frame === 'string' || frame.byteLength === frame.buffer.byteLength ? frame : new Uint8Array(frame);

export class ClientLink {
  private readonly worker: Worker;
  private readonly echoes: (() => void)[] = [];
  /** Settles when all sockets are open. Rejected when one cannot be. */
  readonly ready: Promise<void>;
  private readonly ended: Promise<void>;
  private readonly flags: Int32Array;
  private onFrames: OnFrames = () => undefined;

  /** Starts the thread. */
  constructor(data: ClientThreadData, onFailure: OnThreadFailure) {
    this.flags = data.flags;
    this.worker = startThread('client-thread', data, [data.language]);
    this.worker.once('error', onFailure);
    this.ended = new Promise((resolve) => this.worker.once('exit', () => resolve()));
    this.ready = new Promise((resolve, reject) => {
      this.worker.on('message', (message: FromClientThread) => {
        if (message.kind === 'frames') this.onFrames(message.channel, message.frames.map(asBuffer));
        else if (message.kind === 'echo') this.echoes.shift()?.();
        else if (message.kind === 'failed') reject(new Error(message.message));
        else resolve();
      });
    });
  }

  /** @param onFrames called with each message for the main thread. What comes before this turn's end waits for it. */
  listen(onFrames: OnFrames): void {
    this.onFrames = onFrames;
  }

  private post(message: ToClientThread): void {
    this.worker.postMessage(message);
  }

  /** Sends a message to clients. */
  send(channel: ClientChannel, frames: readonly (string | Uint8Array)[]): void {
    this.post({ kind: 'send', channel, frames: frames.map(alone) });
  }

  /** Says which request is executed now; undefined between two of them. */
  executing(header: Header | undefined): void {
    this.post({ kind: 'executing', header });
  }

  /** Settles when everything that clients have sent by now is here. */
  caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      this.echoes.push(resolve);
      this.post({ kind: 'echo' });
    });
  }

  /** A port on which each signal is to be told. */
  signals(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.worker.postMessage({ kind: 'signals', port: port1 } satisfies ToClientThread, [port1]);
    return port2;
  }

  /** Sleeps until everything that was sent so far has left this process, or a moment has passed. */
  waitUntilSent(): void {
    const seen = Atomics.load(this.flags, flags.marks);
    this.post({ kind: 'mark' });
    Atomics.wait(this.flags, flags.marks, seen, longestWait);
  }

  /** What comes out of these file descriptors is output of the running cell, or of the last one. */
  readChildren(pipes: ChildPipes): void {
    this.post({ kind: 'children', pipes });
  }

  /** Closes the sockets. The process may end when this settles. */
  close(): Promise<void> {
    this.post({ kind: 'close' });
    return this.ended;
  }
}

function asBuffer(frame: Uint8Array): Buffer {
  return Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
}
