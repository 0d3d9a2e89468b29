/**
 * The kernel's output to everyone: one queue, in order, nothing lost. Pieces of stdout and stderr are joined; a
 * display that is still being rendered keeps its place.
 */
import { type Header, type Json } from './messages';

/** Sends one finished message at once. */
export type SendNow = (type: string, content: Json, parent: Partial<Header>, extra: SendExtra) => void;

export interface SendExtra {
  readonly metadata?: Json;
  readonly buffers?: readonly Buffer[];
}

interface Entry {
  readonly type: string;
  readonly parent: Partial<Header>;
  readonly content: Json | Promise<Json>;
  readonly extra: SendExtra;
  readonly settle?: (failed: { readonly error: unknown } | undefined) => void;
}

interface StreamText {
  readonly name: 'stdout' | 'stderr';
  readonly parent: Partial<Header>;
  readonly texts: string[];
  length: number;
}

/** Joined text is sent when it is this long, in characters ... */
const maxTextLength = 1 << 18;
/** ... or this old, in milliseconds. Each write checks the clock, so output of code that never yields is sent too. */
const maxTextAge = 50;

export class OutputQueue {
  private readonly entries: Entry[] = [];
  private text?: StreamText;
  private timer?: NodeJS.Timeout;
  private lastFlush = 0;
  private draining?: Promise<void>;

  constructor(private readonly sendNow: SendNow) {}

  /** Adds text of a stream. */
  write(name: 'stdout' | 'stderr', text: string, parent: Partial<Header>): void {
    if (text === '') return;
    if (this.text && (this.text.name !== name || this.text.parent !== parent)) this.flushText();
    this.text ??= { name, parent, texts: [], length: 0 };
    this.text.texts.push(text);
    this.text.length += text.length;
    if (this.text.length >= maxTextLength || performance.now() - this.lastFlush >= maxTextAge) this.flushText();
    else this.timer ??= setTimeout(() => this.flushText(), maxTextAge);
  }

  /** Adds a message whose content is there. */
  push(type: string, content: Json, parent: Partial<Header>, extra: SendExtra = {}): void {
    this.flushText();
    this.enqueue({ type, content, parent, extra });
  }

  /**
   * Adds a message whose content is still being made; what comes after waits for it. Content that fails is left out.
   * @returns settles when the message was sent, rejected with what making its content threw
   */
  pushLater(type: string, content: Promise<Json>, parent: Partial<Header>): Promise<void> {
    this.flushText();
    const sent = new Promise<{ readonly error: unknown } | undefined>((settle) => {
      this.enqueue({ type, content, parent, extra: {}, settle });
    });
    return sent.then((failed) => {
      if (failed) throw failed.error;
    });
  }

  /** Sends the text that has been joined by now. */
  flush(): void {
    this.flushText();
  }

  /** Everything added so far is sent when this settles. */
  async drained(): Promise<void> {
    this.flushText();
    while (this.draining) await this.draining;
  }

  private flushText(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const piece = this.text;
    this.text = undefined;
    this.lastFlush = performance.now();
    if (!piece) return;
    const content = { name: piece.name, text: piece.texts.join('') };
    this.enqueue({ type: 'stream', content, parent: piece.parent, extra: {} });
  }

  private enqueue(entry: Entry): void {
    if (!this.draining && !(entry.content instanceof Promise)) {
      this.sendNow(entry.type, entry.content, entry.parent, entry.extra);
      return;
    }
    this.entries.push(entry);
    this.draining ??= this.drain();
  }

  private async drain(): Promise<void> {
    for (let entry = this.entries.shift(); entry; entry = this.entries.shift()) {
      try {
        const content = entry.content instanceof Promise ? await entry.content : entry.content;
        this.sendNow(entry.type, content, entry.parent, entry.extra);
        entry.settle?.(undefined);
      } catch (error) {
        entry.settle?.({ error });
      }
    }
    this.draining = undefined;
  }
}
