/**
 * Comms: channels between cells and code in the notebook's page.
 *
 * https://jupyter-client.readthedocs.io/en/latest/messaging.html#custom-messages
 */
import { randomUUID } from 'node:crypto';
import type { Header, Json } from './messages';

type Data = Record<string, unknown>;

/** What goes with a comm message, besides its data. */
export interface CommExtra {
  readonly metadata?: Json;
  readonly buffers?: readonly Uint8Array[];
}

/** Sends a comm message to the page. @param parent the message of the page's that it answers, if there is one */
export type SendComm = (
  type: 'comm_open' | 'comm_msg' | 'comm_close',
  content: Json,
  extra: CommExtra,
  parent: Header | undefined,
) => void;

/** Makes a listener part of the cell that sets it: what it writes goes there, whenever it is called. */
export type Bind = <A extends unknown[], R>(listener: (...args: A) => R) => (...args: A) => R;

type MessageListener = (data: Data, buffers: readonly Uint8Array[]) => unknown;
type CloseListener = (data: Data) => unknown;
type OpenListener = (comm: Comm, data: Data) => unknown;

/** One open channel. */
export class Comm {
  private readonly messageListeners: MessageListener[] = [];
  private readonly closeListeners: CloseListener[] = [];
  private open = true;

  constructor(
    readonly id: string,
    readonly target: string,
    private readonly comms: Comms,
  ) {}

  /** Sends data, and bytes beside it. @throws Error when the channel is closed */
  send(data: Data, buffers: readonly Uint8Array[] = []): void {
    if (!this.open) throw new Error(`the comm ${this.target} (${this.id}) is closed`);
    this.comms.send('comm_msg', { comm_id: this.id, data }, { buffers });
  }

  close(data: Data = {}): void {
    if (!this.open) return;
    this.comms.send('comm_close', { comm_id: this.id, data });
    this.markClosed(data);
  }

  onMessage(listener: MessageListener): void {
    this.messageListeners.push(this.comms.guarded(listener));
  }

  onClose(listener: CloseListener): void {
    this.closeListeners.push(this.comms.guarded(listener));
  }

  /** A message came. */
  receive(data: Data, buffers: readonly Uint8Array[]): void {
    for (const listener of this.messageListeners) listener(data, buffers);
  }

  /** The other side, or this one, closed it. */
  markClosed(data: Data): void {
    this.open = false;
    this.comms.forget(this.id);
    for (const listener of this.closeListeners) listener(data);
  }
}

export class Comms {
  private readonly comms = new Map<string, Comm>();
  private readonly targets = new Map<string, OpenListener>();
  /** The page's message that listeners hear of right now: what they send answers it. */
  private heard?: Header;

  /**
   * @param bind makes a listener part of its cell
   * @param report writes what a listener failed with; nobody else would hear of it
   */
  constructor(
    private readonly sendComm: SendComm,
    readonly bind: Bind,
    private readonly report: (error: unknown) => void,
  ) {}

  /** Opens a channel to the page's handler of this name. */
  open(target: string, data: Data = {}, extra: CommExtra = {}): Comm {
    const comm = this.add(randomUUID(), target);
    this.send('comm_open', { comm_id: comm.id, target_name: target, data }, extra);
    return comm;
  }

  /** Answers channels that the page opens under this name; the last registration counts. */
  register(target: string, listener: OpenListener): void {
    this.targets.set(target, this.guarded(listener));
  }

  /** A listener as part of its cell. What it throws, or rejects with, is written there. */
  guarded<A extends unknown[]>(listener: (...args: A) => unknown): (...args: A) => void {
    return this.bind((...args: A) => {
      try {
        Promise.resolve(listener(...args)).catch(this.report);
      } catch (error) {
        this.report(error);
      }
    });
  }

  send(type: 'comm_open' | 'comm_msg' | 'comm_close', content: Json, extra: CommExtra = {}): void {
    this.sendComm(type, content, extra, this.heard);
  }

  forget(id: string): void {
    this.comms.delete(id);
  }

  private add(id: string, target: string): Comm {
    const comm = new Comm(id, target, this);
    this.comms.set(id, comm);
    return comm;
  }

  /** A comm message of the page. A channel to a name that nobody registered is closed at once, as the protocol asks. */
  handle(header: Header, content: Json, buffers: readonly Buffer[]): void {
    this.heard = header;
    try {
      this.dispatch(header.msg_type, String(content.comm_id), content, buffers);
    } finally {
      this.heard = undefined;
    }
  }

  private dispatch(type: string, id: string, content: Json, buffers: readonly Buffer[]): void {
    const data = (content.data ?? {}) as Data;
    if (type === 'comm_open') {
      const target = String(content.target_name);
      const listener = this.targets.get(target);
      if (listener) listener(this.add(id, target), data);
      else this.send('comm_close', { comm_id: id, data: {} });
      return;
    }
    const comm = this.comms.get(id);
    if (type === 'comm_msg') comm?.receive(data, buffers);
    if (type === 'comm_close') comm?.markClosed(data);
  }

  /** Open channels, of one target or all. */
  info(target?: unknown): Record<string, { target_name: string }> {
    const wanted = [...this.comms.values()].filter((comm) => target === undefined || comm.target === target);
    return Object.fromEntries(wanted.map((comm) => [comm.id, { target_name: comm.target }]));
  }
}
