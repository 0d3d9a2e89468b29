/** Comms: channels between cells and code in the notebook's page. */
import { randomUUID } from 'node:crypto';
import type { Json } from './messages';

type Data = Record<string, unknown>;
/** Sends a comm message to the page. */
export type SendComm = (
  type: 'comm_open' | 'comm_msg' | 'comm_close',
  content: Json,
  buffers: readonly Buffer[],
) => void;

/** One open channel. */
export class Comm {
  private readonly messageListeners: ((data: Data, buffers: readonly Uint8Array[]) => void)[] = [];
  private readonly closeListeners: ((data: Data) => void)[] = [];
  private open = true;

  constructor(
    readonly id: string,
    readonly target: string,
    private readonly sendComm: SendComm,
    private readonly forget: (id: string) => void,
  ) {}

  /** @throws Error when the channel is closed */
  send(data: Data, buffers: readonly Uint8Array[] = []): void {
    if (!this.open) throw new Error(`the comm ${this.target} (${this.id}) is closed`);
    this.sendComm(
      'comm_msg',
      { comm_id: this.id, data },
      buffers.map((one) => Buffer.from(one)),
    );
  }

  close(data: Data = {}): void {
    if (!this.open) return;
    this.sendComm('comm_close', { comm_id: this.id, data }, []);
    this.markClosed(data);
  }

  onMessage(listener: (data: Data, buffers: readonly Uint8Array[]) => void): void {
    this.messageListeners.push(listener);
  }

  onClose(listener: (data: Data) => void): void {
    this.closeListeners.push(listener);
  }

  /** A message came. */
  receive(data: Data, buffers: readonly Uint8Array[]): void {
    for (const listener of this.messageListeners) listener(data, buffers);
  }

  /** The other side, or this one, closed it. */
  markClosed(data: Data): void {
    this.open = false;
    this.forget(this.id);
    for (const listener of this.closeListeners) listener(data);
  }
}

export class Comms {
  private readonly comms = new Map<string, Comm>();
  private readonly targets = new Map<string, (comm: Comm, data: Data) => void>();

  constructor(private readonly sendComm: SendComm) {}

  /** Opens a channel to the page's handler of this name. */
  open(target: string, data: Data = {}): Comm {
    const comm = this.add(randomUUID(), target);
    this.sendComm('comm_open', { comm_id: comm.id, target_name: target, data }, []);
    return comm;
  }

  /** Answers channels that the page opens under this name; the last registration counts. */
  register(target: string, listener: (comm: Comm, data: Data) => void): void {
    this.targets.set(target, listener);
  }

  private add(id: string, target: string): Comm {
    const comm = new Comm(id, target, this.sendComm, (gone) => this.comms.delete(gone));
    this.comms.set(id, comm);
    return comm;
  }

  /** A comm message of the page. A channel to a name that nobody registered is closed at once, as the protocol asks. */
  handle(type: string, content: Json, buffers: readonly Buffer[]): void {
    const id = String(content.comm_id);
    const data = (content.data ?? {}) as Data;
    if (type === 'comm_open') {
      const target = String(content.target_name);
      const listener = this.targets.get(target);
      if (!listener) {
        this.sendComm('comm_close', { comm_id: id, data: {} }, []);
        return;
      }
      listener(this.add(id, target), data);
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
