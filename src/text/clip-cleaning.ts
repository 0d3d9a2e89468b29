/**
 * How CLIP's own tokenizer cleans a caption before it cuts it up: damaged characters mended as the Python package ftfy
 * mends them, HTML references resolved, white space joined, lower case. One thing of ftfy's is left out: text that was
 * decoded with the wrong encoding ("cafÃ©") stays as it is.
 */
import { decodeHTML, decodeHTMLStrict } from 'entities/decode';

/** What the control codes 128 to 159 stand for in Windows-1252; a space where they stand for nothing. */
const WINDOWS_1252 = '€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ';

/** Latin ligatures and digraphs, and forms of other width: what compatibility normalization takes apart. */
const COMPATIBILITY = /[\u0132\u0133\u0149\u01c4-\u01cc\u01f1-\u01f3\u3000\ufb00-\ufb04\ufb06\uff01-\uffef]/g;
const SINGLE_QUOTES = /[\u02bc\u2018-\u201b]/g;
const DOUBLE_QUOTES = /[\u201c-\u201f]/g;
const LINE_BREAKS = /\r\n?|[\u2028\u2029\u0085]/g;
const LONE_SURROGATES = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
/** Colors and cursor movements of terminals. */
const TERMINAL_ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*[a-zA-Z]`, 'g');

/** Characters that steer devices or editors, the byte order mark among them; those that make white space are kept. */
function isControl(code: number): boolean {
  if (code < 0x20) return code !== 9 && code !== 10 && code !== 12 && code !== 13;
  return code === 0x7f || (code >= 0x206a && code <= 0x206f) || code === 0xfeff || (code >= 0xfff9 && code <= 0xfffc);
}

function fromWindows1252(control: string): string {
  const meant = WINDOWS_1252[control.charCodeAt(0) - 0x80];
  return meant === ' ' ? control : meant;
}

/** HTML references that end in a semicolon, those written in capitals throughout as capitals. */
function decodeReferences(text: string): string {
  return decodeHTMLStrict(text).replace(/&[A-Z0-9]+;/g, (reference) => {
    const lower = reference.toLowerCase();
    const meant = decodeHTMLStrict(lower);
    return meant === lower ? reference : meant.toUpperCase();
  });
}

function mendOnce(line: string, html: boolean): string {
  const text = (html ? decodeReferences(line) : line)
    .replace(/[\u0080-\u009f]/g, fromWindows1252)
    .replace(COMPATIBILITY, (c) => c.normalize('NFKC'))
    .replace(/\ufb05/g, '\u017ft')
    .replace(DOUBLE_QUOTES, '"')
    .replace(SINGLE_QUOTES, "'")
    .replace(LINE_BREAKS, '\n')
    .replace(LONE_SURROGATES, '\ufffd')
    .replace(TERMINAL_ESCAPES, '');
  return Array.from(text)
    .filter((c) => !isControl(c.codePointAt(0) as number))
    .join('')
    .normalize('NFC');
}

/** One line, until nothing changes any more. A line with `<` may be HTML itself: its references stay. */
function mend(line: string): string {
  const html = !line.includes('<');
  let text = line;
  for (;;) {
    const next = mendOnce(text, html);
    if (next === text) return text;
    text = next;
  }
}

/** The caption as CLIP's byte pairs are looked up in it: one space between words, none at the ends. */
export function cleanCaption(text: string): string {
  const lines = text.split(/(?<=\n)/);
  const mended = lines.map(mend).join('');
  return decodeHTML(decodeHTML(mended)).replace(/\s+/g, ' ').trim().toLowerCase();
}
