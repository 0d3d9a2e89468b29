/** A reasoning trace: what the model understood, what it cited, what it asked itself to draw, what it drew, its rewards. */
import { Display, type MimeBundle } from './bundle';
import { imageTag, scoreText } from './grid';
import { html, plainText, type SafeHtml } from './html';
import { type ImageInput, type ImageLike, imagesOf } from './images';

/** One fact of a concept, and whether the model's text made use of it. */
export interface TraceFact {
  readonly text: string;
  /** Default true. */
  readonly cited?: boolean;
}

/** All a sample went through. Every part may be missing; texts are data, never markup. */
export interface Trace {
  /** A line on top: the sample's number, say. */
  readonly title?: string;
  /** What the user asked for. */
  readonly prompt?: string;
  /** What the model wrote before drawing. */
  readonly understanding?: string;
  /** The concept's facts; plain strings count as cited. */
  readonly facts?: readonly (string | TraceFact)[];
  /** The prompt the image was finally drawn from. */
  readonly compoundPrompt?: string;
  /** Early or intermediate images, with captions where they help. */
  readonly intermediate?: readonly (ImageInput | { readonly image: ImageInput; readonly caption?: string })[];
  /** The finished image. */
  readonly result?: ImageInput;
  /** Each reward by name. */
  readonly rewards?: Readonly<Record<string, number>>;
  /** The rewards together. */
  readonly total?: number;
  /** The sample's advantage within its group. */
  readonly advantage?: number;
}

/** Longer texts are folded away behind a summary. */
const foldFrom = 240;

interface ReadTrace {
  readonly source: Trace;
  readonly facts: readonly Required<TraceFact>[];
  readonly intermediate: readonly { image: ImageLike; caption: string }[];
  readonly result?: ImageLike;
}

function read(trace: Trace): ReadTrace {
  return {
    source: trace,
    facts: (trace.facts ?? []).map((fact) =>
      typeof fact === 'string' ? { text: fact, cited: true } : { text: fact.text, cited: fact.cited ?? true },
    ),
    intermediate: (trace.intermediate ?? []).flatMap((one) => {
      const captioned = 'image' in one ? one : { image: one };
      return imagesOf(captioned.image).map((image) => ({ image, caption: captioned.caption ?? '' }));
    }),
    result: trace.result && imagesOf(trace.result)[0],
  };
}

function numbers(trace: Trace): [name: string, value: string][] {
  const rows = Object.entries(trace.rewards ?? {}).map(([name, value]): [string, string] => [name, scoreText(value)]);
  if (trace.total !== undefined) rows.push(['total', scoreText(trace.total)]);
  if (trace.advantage !== undefined) rows.push(['advantage', scoreText(trace.advantage)]);
  return rows;
}

function traceText({ source, facts, intermediate, result }: ReadTrace): string {
  const lines: string[] = [];
  const add = (name: string, text: string | undefined): void => {
    if (text) lines.push(`${(name && `${name}:`).padEnd(15)}${text.replace(/\n/g, `\n${' '.repeat(15)}`)}`);
  };
  if (source.title) lines.push(source.title);
  add('prompt', source.prompt);
  add('understanding', source.understanding);
  facts.forEach((fact, i) => add(i === 0 ? 'facts' : '', `${fact.cited ? '[x]' : '[ ]'} ${fact.text}`));
  add('drawn from', source.compoundPrompt);
  if (intermediate.length)
    add(
      'on the way',
      intermediate.map((one) => `${one.image.width} x ${one.image.height} ${one.caption}`.trim()).join(', '),
    );
  if (result) add('image', `${result.width} x ${result.height}`);
  const rows = numbers(source);
  if (rows.length) add('rewards', rows.map(([name, value]) => `${name} ${value}`).join(' · '));
  return plainText(lines.join('\n'));
}

function block(name: string, content: SafeHtml | string, length: number): SafeHtml {
  const heading = html`<span style="opacity:.65;font-size:85%">${name}</span>`;
  if (length <= foldFrom)
    return html`<div style="margin:3px 0">
      ${heading}
      <div style="white-space:pre-wrap">${content}</div>
    </div>`;
  return html`<details style="margin:3px 0">
    <summary>${heading} <span style="opacity:.65;font-size:85%">(${length} characters)</span></summary>
    <div style="white-space:pre-wrap">${content}</div>
  </details>`;
}

async function traceHtml(trace: ReadTrace, size: number): Promise<SafeHtml> {
  const { source, facts, intermediate, result } = trace;
  const small = Math.max(64, Math.round(size / 2));
  const steps = await Promise.all(
    intermediate.map(
      async ({ image, caption }) =>
        html`<figure style="margin:0">
          ${await imageTag(image, small, caption)}
          <figcaption style="font-size:80%">${caption}</figcaption>
        </figure>`,
    ),
  );
  const marks = facts.map(
    (fact) => html`<li style="${fact.cited ? '' : 'opacity:.5'}">${fact.cited ? '✓' : '✗'} ${fact.text}</li>`,
  );
  const rows = numbers(source).map(
    ([name, value]) =>
      html`<tr>
        <td style="text-align:left">${name}</td>
        <td style="text-align:right"><b>${value}</b></td>
      </tr>`,
  );
  return html`<div style="border:1px solid rgba(128,128,128,.35);border-radius:6px;padding:8px 10px;margin:6px 0">
    ${source.title ? html`<div><b>${source.title}</b></div>` : ''}
    <div style="display:flex;gap:14px;flex-wrap:wrap">
      <div>${result ? await imageTag(result, size, source.compoundPrompt ?? source.prompt ?? 'result') : ''}</div>
      <div style="flex:1;min-width:260px">
        ${source.prompt ? block('prompt', source.prompt, source.prompt.length) : ''}${
          source.understanding ? block('understanding', source.understanding, source.understanding.length) : ''
        }${
          marks.length
            ? block(
                `facts (${facts.filter((fact) => fact.cited).length} of ${facts.length} cited)`,
                html`<ul style="margin:0;padding-left:1.2em;list-style:none">
                  ${marks}
                </ul>`,
                facts.reduce((n, fact) => n + fact.text.length, 0),
              )
            : ''
        }${
          source.compoundPrompt ? block('drawn from', source.compoundPrompt, source.compoundPrompt.length) : ''
        }${steps.length ? html`<div style="display:flex;gap:8px;margin:4px 0">${steps}</div>` : ''}
      </div>
      <div>
        ${
          rows.length
            ? html`<table>
                ${rows}
              </table>`
            : ''
        }
      </div>
    </div>
  </div>`;
}

export interface TraceOptions {
  /** The longer side, in screen pixels, that a small result is enlarged to. Default 160; steps on the way get half. */
  readonly size?: number;
}

/**
 * One reasoning trace, or a group of them one below the other. Long texts are folded.
 * @throws RangeError for an empty list or for images of the wrong shape
 */
export function traceView(traces: Trace | readonly Trace[], options: TraceOptions = {}): Display {
  const list = (Array.isArray(traces) ? (traces as readonly Trace[]) : [traces as Trace]).map(read);
  if (list.length === 0) throw new RangeError('traceView needs at least one trace, got an empty list');
  return new Display(list.map(traceText).join('\n\n'), async (): Promise<MimeBundle> => {
    const parts = await Promise.all(list.map((trace) => traceHtml(trace, options.size ?? 160)));
    return { 'text/html': html`<div>${parts}</div>`.markup };
  });
}
