/** sacrebleu's tokenizers. */

import { SPACE, splitWords } from '../python-classes';

const trailing = new RegExp(`[${SPACE}]+$`, 'u');

export type BleuTokenizer = '13a' | 'char' | 'zh' | 'none';

const tokenizers: Record<BleuTokenizer, (line: string) => string> = {
  '13a': (line) => {
    const text = line.replaceAll('<skipped>', '').replaceAll('-\n', '').replaceAll('\n', ' ');
    const plain = text
      .replaceAll('&quot;', '"')
      .replaceAll('&amp;', '&')
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>');
    return separatePunctuation(` ${plain} `);
  },
  char: (line) => [...line].join(' '),
  zh: (line) => separatePunctuation([...line].map((c) => (isChinese(c) ? ` ${c} ` : c)).join('')),
  none: (line) => line,
};

/** The names of the tokenizers. */
export const tokenizerNames = Object.keys(tokenizers) as BleuTokenizer[];

/** A line's tokens joined by spaces. @throws RangeError for an unknown tokenizer */
export function tokenize(line: string, tokenizer: BleuTokenizer): string {
  if (!Object.hasOwn(tokenizers, tokenizer)) {
    throw new RangeError(`there is no BLEU tokenizer '${tokenizer}'; there are ${tokenizerNames.join(', ')}`);
  }
  return tokenizers[tokenizer](line.replace(trailing, ''));
}

/** The language-dependent part of mteval-v13a. */
function separatePunctuation(line: string): string {
  const separated = line
    .replace(/([{-~[-` -&(-+:-@/])/gu, ' $1 ')
    .replace(/([^0-9])([.,])/gu, '$1 $2 ')
    .replace(/([.,])([^0-9])/gu, ' $1 $2')
    .replace(/([0-9])(-)/gu, '$1 $2 ');
  return splitWords(separated).join(' ');
}

// The two ranges from 2001 and 2f81 stand in sacrebleu as five-digit escapes, which Python reads as four digits and a
// letter: scores that are to be equal must repeat it.
const chinese = new RegExp(
  '[\\u3400-\\u4db5\\u4e00-\\u9fbb\\uf900-\\ufa2d\\ufa30-\\ufa6a\\ufa70-\\ufad9\\u2001-\\u2a6d\\u2f81-\\u2fa1' +
    '\\uff00-\\uffef\\u2e80-\\u2eff\\u3000-\\u303f\\u31c0-\\u31ef\\u2f00-\\u2fdf\\u2ff0-\\u2fff\\u3100-\\u312f' +
    '\\u31a0-\\u31bf\\ufe10-\\ufe1f\\ufe30-\\ufe4f\\u2600-\\u27bf\\u3200-\\u33ff]',
  'u',
);

function isChinese(character: string): boolean {
  return chinese.test(character);
}
