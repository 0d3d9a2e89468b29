/** An executed notebook as one HTML page that needs nothing else: every output in it, no scripts, nothing fetched. */
import { stripVTControlCharacters } from 'node:util';
import { cleanHtml, html, markdownRenderer, SafeHtml } from '../../display';
import type { Cell, Notebook, Output } from './notebook';

const style = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2rem auto; padding: 0 1rem; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.45 ui-monospace, monospace; }
.code { display: grid; grid-template-columns: 4.5rem 1fr; margin-top: 1rem; }
.code > .count { color: #888; font: 12px ui-monospace, monospace; padding-top: .55rem; }
.code > pre { background: rgba(128,128,128,.1); border-left: 3px solid #3178c6; padding: .5rem .75rem; }
.outputs { margin-left: 4.5rem; padding: .35rem .75rem; overflow-x: auto; }
.outputs > * { margin: .35rem 0; }
.stderr, .error { background: rgba(220,60,60,.13); padding: .35rem .5rem; }
img, svg { max-width: 100%; height: auto; background: #fff; }
table { border-collapse: collapse; font-size: 13px; } th, td { padding: .2rem .6rem; border-bottom: 1px solid rgba(128,128,128,.3); }
.raw { color: #888; }
`;

function text(value: unknown): string {
  return typeof value === 'string' ? value : Array.isArray(value) ? value.join('') : JSON.stringify(value, null, 2);
}

/** An image by its bytes: within `<img>` an SVG cannot run anything. */
function image(type: string, base64: string): SafeHtml {
  return html`<img src="data:${type};base64,${base64.replace(/[^\w+/=]/g, '')}" alt="" />`;
}

function bundleHtml(data: Record<string, unknown>, markdown: (source: string) => SafeHtml): SafeHtml {
  if (data['text/html'] !== undefined) return cleanHtml(text(data['text/html']));
  if (data['image/svg+xml'] !== undefined)
    return image('image/svg+xml', Buffer.from(text(data['image/svg+xml'])).toString('base64'));
  for (const type of ['image/png', 'image/jpeg', 'image/gif'])
    if (data[type] !== undefined) return image(type, text(data[type]));
  if (data['text/markdown'] !== undefined) return markdown(text(data['text/markdown']));
  const plain = data['text/plain'] ?? Object.values(data)[0] ?? '';
  return html`<pre>${text(plain)}</pre>`;
}

function outputHtml(output: Output, markdown: (source: string) => SafeHtml): SafeHtml {
  switch (output.output_type) {
    case 'stream':
      return html`<pre class="${output.name}">${stripVTControlCharacters(output.text)}</pre>`;
    case 'error':
      return html`<pre class="error">
${stripVTControlCharacters(output.traceback.join('\n') || `${output.ename}: ${output.evalue}`)}</pre>`;
    default:
      return html`<div>${bundleHtml(output.data, markdown)}</div>`;
  }
}

/** A Markdown cell's source with the pictures that the cell holds in place of their names. */
function withAttachments({ source, attachments = {} }: Cell): string {
  return source.replace(/\]\(attachment:([^)\s]+)\)/g, (link, name: string) => {
    const [type, base64] = Object.entries(attachments[decodeURIComponent(name)] ?? {})[0] ?? [];
    return type === undefined ? link : `](data:${type};base64,${text(base64)})`;
  });
}

function cellHtml(cell: Cell, markdown: (source: string) => SafeHtml): SafeHtml {
  if (cell.cell_type === 'markdown') return html`<section>${markdown(withAttachments(cell))}</section>`;
  if (cell.cell_type === 'raw') return html`<section class="raw"><pre>${cell.source}</pre></section>`;
  const outputs = cell.outputs.map((output) => outputHtml(output, markdown));
  const count = html`<div class="count">[${cell.execution_count ?? ' '}]</div>`;
  return html`<section>
    <div class="code">
      ${count}
      <pre>${cell.source}</pre>
    </div>
    <div class="outputs">${outputs}</div>
  </section>`;
}

/** The page of a notebook. @param title in the browser's tab */
export async function notebookHtml(notebook: Notebook, title: string): Promise<string> {
  const markdown = await markdownRenderer();
  const body = notebook.cells.map((cell) => cellHtml(cell, markdown));
  const page = html`<head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width" />
      <meta
        http-equiv="Content-Security-Policy"
        content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"
      />
      <title>${title}</title>
      <style>
        ${new SafeHtml(style)}
      </style>
    </head>
    <body>
      ${body}
    </body>`;
  return `<!doctype html>\n<html lang="en">${page.markup}</html>\n`;
}
