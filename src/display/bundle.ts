/** What a display is: a MIME bundle, and the convention by which a value says how it wants to be shown. */
import { inspect } from 'node:util';

/**
 * Content by MIME type: text types as strings, binary types (`image/png`) as base64 strings, JSON types as values.
 * Every bundle made here has a `text/plain` twin that reads well in a terminal.
 */
export type MimeBundle = Record<string, unknown>;

/**
 * The well-known symbol of Deno's Jupyter kernel: an object with a method of this name shows itself, here and there.
 * The method returns a {@link MimeBundle} or a promise of one.
 */
export const jupyterDisplay: unique symbol = Symbol.for('Jupyter.display');

/** A value that shows itself. */
export interface Displayable {
  [jupyterDisplay](): MimeBundle | Promise<MimeBundle>;
}

/** Takes finished bundles to whoever shows them, in the order of the calls. */
export interface DisplayTransport {
  /** Shows a new display; with an id it can be updated later. The promise settles once the bundle is on its way. */
  show(bundle: Promise<MimeBundle>, id?: string): Promise<void>;
  /** Replaces what every display of this id shows. `final` tells that no other update follows. */
  update(id: string, bundle: Promise<MimeBundle>, final: boolean): Promise<void>;
  /** Clears the cell's output; with `wait` not before the next output comes. */
  clear(wait: boolean): Promise<void>;
}

/** Whether a value shows itself by {@link jupyterDisplay}. */
export function isDisplayable(value: unknown): value is Displayable {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    typeof (value as Partial<Displayable>)[jupyterDisplay] === 'function'
  );
}

/** HTML in which notebooks set no formulas: a caption with two dollar signs is a caption. */
function withoutMath(bundle: MimeBundle): MimeBundle {
  const markup = bundle['text/html'];
  if (typeof markup !== 'string') return bundle;
  return { ...bundle, 'text/html': `<div class="mathjax_ignore">${markup}</div>` };
}

/**
 * A finished view of something. It holds what it shows (tensors are read when the view is made, so they may be
 * disposed right after) and renders when asked. As a cell's last expression, or given to `display`, it is shown richly;
 * in a terminal `String(view)` and `console.log(view)` give its text.
 */
export class Display implements Displayable {
  private rendered?: Promise<MimeBundle>;

  /**
   * @param text the `text/plain` twin
   * @param render the other MIME types; called at most once
   */
  constructor(
    readonly text: string,
    private readonly render: () => MimeBundle | Promise<MimeBundle> = () => ({}),
  ) {}

  [jupyterDisplay](): Promise<MimeBundle> {
    this.rendered ??= Promise.resolve()
      .then(() => this.render())
      .then((bundle) => ({ ...withoutMath(bundle), 'text/plain': this.text }));
    return this.rendered;
  }

  toString(): string {
    return this.text;
  }

  [inspect.custom](): string {
    return this.text;
  }
}

/** The `text/plain` bundle of any value: strings as they are, everything else as Node's inspector prints it. */
export function plainBundle(value: unknown): MimeBundle {
  return { 'text/plain': typeof value === 'string' ? value : inspected(value) };
}

/** A value's text. Its own code may take part in that (`inspect.custom`, getters), and may throw. */
function inspected(value: unknown): string {
  const limits = { depth: 4, maxArrayLength: 100 };
  try {
    return inspect(value, limits);
  } catch (error) {
    try {
      return inspect(value, { ...limits, customInspect: false });
    } catch {
      return `[a value that cannot be shown: ${error instanceof Error ? error.message : typeof error}]`;
    }
  }
}

/**
 * A bundle as notebook files can hold it: bytes as base64 (as text where the type is text), numbers as text, and
 * nothing for `undefined`. JSON types keep their values.
 */
export function storableBundle(bundle: MimeBundle): MimeBundle {
  const entries = Object.entries(bundle).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries.map(([type, value]) => [type, storable(type, value)]));
}

function storable(type: string, value: unknown): unknown {
  const isText = type.startsWith('text/') || type.endsWith('+xml') || type.endsWith('/javascript');
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    const bytes = ArrayBuffer.isView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : Buffer.from(value);
    return bytes.toString(isText ? 'utf8' : 'base64');
  }
  if (typeof value === 'bigint') return String(value);
  const isJson = type.endsWith('json');
  return !isJson && (typeof value === 'number' || typeof value === 'boolean') ? String(value) : value;
}
