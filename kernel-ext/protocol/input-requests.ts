/** Questions of cells to the person at the client: `input(...)`, over the stdin channel. */
import { type Header, type Json, type Message, newHeader, textOf } from './messages';

/** Sends a message on the stdin channel. */
export type SendInputRequest = (header: Header, content: Json, request: Message) => void;

export class InputRequests {
  private readonly waiting = new Map<string, (value: string) => void>();

  constructor(
    private readonly session: string,
    private readonly send: SendInputRequest,
  ) {}

  /**
   * Asks the client that sent the running cell for a line.
   * @param request the running cell's request
   * @throws Error where nobody can be asked
   */
  ask(request: Message | undefined, prompt: string, password: boolean): Promise<string> {
    if (!request || request.content.allow_stdin === false)
      throw new Error('input(): nobody can be asked here, this client does not take input');
    const header = newHeader('input_request', this.session, 'kernel');
    return new Promise((resolve) => {
      this.waiting.set(header.msg_id, resolve);
      this.send(header, { prompt, password }, request);
    });
  }

  /** An answer came. Clients differ in what they name as the parent: there is one question at a time. */
  receive(message: Message): void {
    const [first] = this.waiting;
    if (message.header.msg_type !== 'input_reply' || !first) return;
    const [id, answer] = first;
    this.waiting.delete(id);
    // In a turn of its own: what the cell does next must not keep the channel.
    setImmediate(() => answer(textOf(message.content.value)));
  }

  /** The cell was interrupted: whoever waits goes on with nothing. */
  cancelAll(): void {
    for (const answer of this.waiting.values()) answer('');
    this.waiting.clear();
  }
}
