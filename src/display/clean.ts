/** HTML and Markdown from elsewhere, made harmless: what models write may be formatted, and runs nothing. */
import type { IOptions } from 'sanitize-html';
import { SafeHtml } from './html';

type Sanitizer = typeof import('sanitize-html');

/** CSS properties that may stay: what lays out and colors, nothing that loads. */
const STYLES = [
  'align-items',
  'border',
  'border-radius',
  'color',
  'background',
  'background-color',
  'display',
  'flex',
  'flex-wrap',
  'font-size',
  'font-weight',
  'font-variant-numeric',
  'gap',
  'grid-template-columns',
  'line-height',
  'list-style',
  'margin',
  'margin-bottom',
  'margin-top',
  'margin-left',
  'margin-right',
  'max-width',
  'min-width',
  'opacity',
  'outline',
  'overflow-wrap',
  'overflow-x',
  'padding',
  'padding-left',
  'text-align',
  'vertical-align',
  'white-space',
  'width',
  'height',
];

/** What may stay: scripts, frames, event handlers and foreign images may not. */
function allowed(sanitize: Sanitizer): IOptions {
  return {
    allowedTags: [
      ...sanitize.defaults.allowedTags,
      'img',
      'details',
      'summary',
      'progress',
      'figure',
      'figcaption',
      'del',
      'input',
      'h1',
      'h2',
    ],
    allowedAttributes: {
      '*': ['style', 'class', 'title', 'colspan', 'rowspan', 'align'],
      a: ['href'],
      img: ['src', 'alt', 'width', 'height'],
      details: ['open'],
      progress: ['value', 'max'],
      input: [{ name: 'type', multiple: false, values: ['checkbox'] }, 'checked', 'disabled'],
    },
    allowedSchemes: ['http', 'https', 'mailto'],
    allowedSchemesByTag: { img: ['data'] },
    exclusiveFilter: (frame) => frame.tag === 'img' && !/^data:image\//.test(frame.attribs.src ?? ''),
    allowedStyles: {
      '*': Object.fromEntries(STYLES.map((property) => [property, [/^(?!.*(?:url|expression)\s*\()[^<>"]*$/i]])),
    },
  };
}

let sanitizer: { readonly clean: Sanitizer; readonly options: IOptions } | undefined;

/** HTML without anything that runs, loads or leaves the place it is put in. Formatting, tables and `data:` images stay. */
export function cleanHtml(markup: string): SafeHtml {
  if (!sanitizer) {
    // Loaded with the first text that needs it.
    const clean = require('sanitize-html') as Sanitizer;
    sanitizer = { clean, options: allowed(clean) };
  }
  return new SafeHtml(sanitizer.clean(markup, sanitizer.options));
}

/** @returns what makes harmless HTML of Markdown (GitHub's dialect) */
export async function markdownRenderer(): Promise<(source: string) => SafeHtml> {
  const { Marked } = await import('marked');
  const marked = new Marked({ gfm: true, async: false });
  return (source) => cleanHtml(marked.parse(source) as string);
}
