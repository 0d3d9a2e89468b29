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
  return { 'text/plain': typeof value === 'string' ? value : inspect(value, { depth: 4, maxArrayLength: 100 }) };
}
