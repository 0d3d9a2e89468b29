/** HTML for displays. Captions, prompts and model output are data: they are escaped here and nowhere else. */

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text as HTML text or attribute value: the five special characters become entities. */
export function escapeHtml(text: unknown): string {
  return String(text).replace(/[&<>"']/g, (character) => entities[character]);
}

/** HTML that was put together by {@link html} and may be placed in more HTML as it is. */
export class SafeHtml {
  constructor(readonly markup: string) {}
  toString(): string {
    return this.markup;
  }
}

/** What may stand in an {@link html} template: anything; what is not {@link SafeHtml} (or a list of it) is escaped. */
export type HtmlPart = SafeHtml | string | number | boolean | null | undefined | readonly HtmlPart[];

function place(part: HtmlPart): string {
  if (part instanceof SafeHtml) return part.markup;
  if (Array.isArray(part)) return part.map((one: HtmlPart) => place(one)).join('');
  if (part === null || part === undefined || part === false) return '';
  return escapeHtml(part);
}

/**
 * Template tag: html`<b>${name}</b>` escapes `name`; nested results of `html` and lists of them are kept as they are,
 * `null`, `undefined` and `false` vanish. The template may be laid out in lines: a line break and the indentation after
 * it count as one space inside a tag and as nothing between tags.
 */
export function html(strings: TemplateStringsArray, ...parts: HtmlPart[]): SafeHtml {
  const joined = strings.join('\u0000');
  const laid = joined.replace(/\s*\n\s*/g, (_, at: number) => (/^[^<>]*>/.test(joined.slice(at)) ? ' ' : ''));
  return new SafeHtml(laid.split('\u0000').reduce((out, text, i) => out + place(parts[i - 1]) + text));
}

/**
 * Text without control characters, for a terminal or a `text/plain` twin: captions and model output must not move the
 * cursor or recolor the screen. Line breaks and tabs stay.
 */
export function plainText(text: unknown): string {
  return Array.from(String(text), (character) => {
    const code = character.codePointAt(0) ?? 0;
    return (code < 32 && code !== 10 && code !== 9) || (code >= 127 && code < 160) ? '\uFFFD' : character;
  }).join('');
}

/** At most `width` characters, the last one an ellipsis where something was cut. */
export function shorten(text: string, width: number): string {
  const characters = Array.from(text);
  return characters.length <= width ? text : `${characters.slice(0, Math.max(0, width - 1)).join('')}…`;
}
