/** Showing: `display`, `updateDisplay`, and displays that live. */
import { randomUUID } from 'node:crypto';
import { renderBundle } from './render';
import { displayTransport, type Flushable, liveDisplays } from './transport';

export interface DisplayOptions {
  /** A name by which {@link updateDisplay} can replace what is shown. */
  readonly id?: string;
}

/**
 * Shows a value: in a notebook below the cell, in a terminal as text with images as files. Rich for images, image
 * tensors, tensors, vega-lite specifications, danfo.js frames, and whatever has a `Symbol.for('Jupyter.display')`
 * method; anything else as text. Tensors are read before this returns.
 * @returns settles once it is on its way; in a notebook it need not be awaited, order is kept and failures fail the cell
 */
export function display(value: unknown, options: DisplayOptions = {}): Promise<void> {
  return displayTransport().show(renderBundle(value), options.id);
}

/** Replaces what the displays of this id show. Every call is sent; for many a second use {@link LiveDisplay}. */
export function updateDisplay(id: string, value: unknown): Promise<void> {
  return displayTransport().update(id, renderBundle(value), true);
}

/** Clears the output of the running cell. @param wait not before the next output comes, which avoids flicker */
export function clearOutput(wait = false): Promise<void> {
  return displayTransport().clear(wait);
}

export interface LiveOptions extends DisplayOptions {
  /** Most updates a second that are sent; values in between are skipped, the last one never. Default and maximum 10. */
  readonly maxPerSecond?: number;
}

interface Change {
  readonly value: unknown;
  readonly draft?: unknown;
}

/**
 * A display whose value changes. Updates are sent at most ten times a second, and more seldom where rendering is slow
 * (it gets at most a tenth of the time); the last value is always sent, by {@link LiveDisplay.done} or when the cell
 * ends.
 */
export class LiveDisplay implements Flushable {
  readonly id: string;
  private readonly interval: number;
  private pending?: Change;
  /** A value that only its draft has been sent of. */
  private drafted?: Change;
  private timer?: NodeJS.Timeout;
  private earliest = 0;
  private shown = false;
  private sending: Promise<void> = Promise.resolve();
  private failure?: { error: unknown };

  /** @param value shown at once; without it nothing is shown before the first {@link LiveDisplay.update} */
  constructor(value?: unknown, options: LiveOptions = {}) {
    const rate = options.maxPerSecond ?? 10;
    if (!(rate > 0)) throw new RangeError(`maxPerSecond must be above 0, got ${rate}`);
    this.id = options.id ?? randomUUID();
    this.interval = 1000 / Math.min(rate, 10);
    if (value !== undefined) this.update(value);
  }

  /**
   * Shows another value, now or within a tenth of a second. Never waits, never throws for a value that fails to render.
   * @param draft shown in its place until the display is done or the cell ends: less work where values change fast
   */
  update(value: unknown, draft?: unknown): void {
    this.pending = { value, draft };
    liveDisplays().add(this);
    if (this.timer) return;
    const wait = this.earliest - Date.now();
    if (wait <= 0) this.send(false);
    else this.timer = setTimeout(() => this.send(false), wait);
  }

  /** Sends the last value. @throws what rendering an update threw */
  async flush(): Promise<void> {
    if (this.pending ?? this.drafted) this.send(true);
    liveDisplays().delete(this);
    await this.sending;
    const failure = this.failure;
    this.failure = undefined;
    if (failure) throw failure.error;
  }

  /**
   * Ends in this value (default: the last one given). @throws what rendering an update threw
   */
  async done(value?: unknown): Promise<void> {
    if (value !== undefined) this.pending = { value };
    await this.flush();
  }

  private send(final: boolean): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const next = this.pending ?? (final ? this.drafted : undefined);
    if (!next) return;
    const isDraft = !final && next.draft !== undefined;
    this.pending = undefined;
    this.drafted = isDraft ? next : undefined;
    const started = Date.now();
    this.earliest = started + this.interval;
    const bundle = renderBundle(isDraft ? next.draft : next.value);
    bundle.then(
      () => (this.earliest = Math.max(this.earliest, Date.now() + 9 * (Date.now() - started))),
      () => undefined,
    );
    const transport = displayTransport();
    const sent = this.shown ? transport.update(this.id, bundle, final) : transport.show(bundle, this.id);
    this.shown = true;
    const before = this.sending;
    this.sending = sent.then(
      () => before,
      (error: unknown) => {
        this.failure ??= { error };
        return before;
      },
    );
  }
}
