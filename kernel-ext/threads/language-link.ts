/** Questions to the language thread, from any other thread. */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { flags, type LanguageAnswer, type LanguageNote, type LanguageQuestion } from './thread-messages';

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Longest wait of {@link LanguageLink.askNow}, in milliseconds: the language thread may be in the middle of a large cell. */
const longestWait = 10_000;

export class LanguageLink {
  private readonly waiting = new Map<number, Waiting>();
  private asked = 0;

  /**
   * @param port where the language thread listens
   * @param shared numbers shared by all threads; needed by {@link askNow} alone
   */
  constructor(
    private readonly port: MessagePort,
    private readonly shared?: Int32Array,
  ) {
    port.on('message', (answer: LanguageAnswer) => this.receive(answer));
  }

  private receive({ id, answer, error }: LanguageAnswer): void {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (error === undefined) waiting?.resolve(answer);
    else waiting?.reject(new Error(error));
  }

  /** @throws Error with the message of what failed in the language thread */
  ask<T>(question: LanguageQuestion): Promise<T> {
    const id = ++this.asked;
    const answered = new Promise<unknown>((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    this.port.postMessage({ id, ...question });
    return answered as Promise<T>;
  }

  /** As {@link ask}, without a turn of the event loop: this thread sleeps until the answer. Undefined if there is none. */
  askNow<T>(question: LanguageQuestion): T | undefined {
    const { shared } = this;
    if (!shared) throw new Error('this thread may not sleep');
    let answer: T | undefined;
    let done = false;
    const id = ++this.asked;
    const settle = (value?: T): void => {
      answer = value;
      done = true;
    };
    this.waiting.set(id, { resolve: (value) => settle(value as T), reject: () => settle() });
    this.port.postMessage({ id, ...question });
    const until = performance.now() + longestWait;
    while (!done && performance.now() < until) {
      const seen = Atomics.load(shared, flags.answers);
      const next = receiveMessageOnPort(this.port)?.message as LanguageAnswer | undefined;
      if (next) this.receive(next);
      else Atomics.wait(shared, flags.answers, seen, until - performance.now());
    }
    this.waiting.delete(id);
    return answer;
  }

  tell(note: LanguageNote): void {
    this.port.postMessage(note);
  }
}
