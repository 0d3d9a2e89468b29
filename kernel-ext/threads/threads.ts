/** The kernel's helper threads, as the main thread starts them: first the one for which clients wait. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { ConnectionInfo } from '../protocol/messages';
import { ClientLink } from './client-link';
import type { LanguageThreadData } from './language-thread';
import { type OnThreadFailure, startThread } from './start-thread';
import { flags } from './thread-messages';

export class Threads {
  /** Numbers that all threads share, all 0 at first: {@link flags} names their places. */
  readonly flags = new Int32Array(new SharedArrayBuffer(4 * Object.keys(flags).length));
  /** The thread that faces the clients. It runs from the start. */
  readonly clients: ClientLink;
  /** Where to ask the language thread. Questions wait until it runs. */
  readonly language: MessagePort;
  private readonly ends: Pick<LanguageThreadData, 'main' | 'client'>;

  /** @param onFailure called when a thread dies that must not die before the process */
  constructor(
    connection: ConnectionInfo,
    private readonly onFailure: OnThreadFailure,
  ) {
    const [forMain, forClients] = [new MessageChannel(), new MessageChannel()];
    this.language = forMain.port2;
    this.ends = { main: forMain.port1, client: forClients.port1 };
    this.clients = new ClientLink({ connection, language: forClients.port2, flags: this.flags }, onFailure);
  }

  /** Starts the language thread. Clients need not wait for it. @param folder the notebook's, and the working folder */
  startLanguage(folder: string): void {
    const { main, client } = this.ends;
    const data: LanguageThreadData = { folder, main, client, flags: this.flags };
    const worker = startThread('language-thread', data, [main, client]);
    worker.once('error', this.onFailure);
    worker.unref();
  }
}
