/** White space and word characters as Python's regular expressions and `str` methods know them, for rules that come from there. */

/** White space, for the inside of a character class. JavaScript's \s has U+FEFF besides and lacks U+001C-U+001F and U+0085. */
export const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

/** Word characters of every script, for the inside of a character class of a `u` pattern: é and 答 are some, a combining accent is not. */
export const WORD = '\\p{L}\\p{N}_';

/** Where a word starts or ends (Python's \b), for a `u` pattern. */
export const BOUNDARY = `(?:(?<=[${WORD}])(?![${WORD}])|(?<![${WORD}])(?=[${WORD}]))`;

const ends = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, 'g');
const between = new RegExp(`[${SPACE}]+`);

/** Without white space at both ends. */
export function strip(text: string): string {
  return text.replace(ends, '');
}

/** Words between white space, none empty. */
export function splitWords(text: string): string[] {
  return text.split(between).filter((word) => word !== '');
}
