/** Reading an answer to a multiple-choice question that is more than a letter, as CoRL's released code reads it. */
import { BOUNDARY, SPACE, strip } from '../text';

const S = `[${SPACE}]`;
const letterThenEnd = `([A-Z])(?:${BOUNDARY}|\\.|\\))`;
const noun = `(?:(?:option|choice|letter)${S})?`;

/** In order of trust; only the first two ask that the letter is no start of a word. */
const letterPatterns = [
  `(?:answer|choice|option|select|choose|pick)${S}(?:is|as|being|would be|should be|:)?${S}*${noun}${letterThenEnd}`,
  `${BOUNDARY}(?:select|choose|pick)${S}${noun}${letterThenEnd}`,
  '[Tt]he answer is ([A-Z])',
  '[Tt]he correct answer is ([A-Z])',
  '[Aa]nswer is ([A-Z])',
  '[Oo]ption ([A-Z])',
  '[Cc]hoice ([A-Z])',
].map((pattern) => new RegExp(pattern, 'u'));

const is = `(?:${S}+is|${S}*=|${S}*:)${S}*`;
const quoted = ['"([^"]+)"', "'([^']+)'"];
const quotePatterns = ['(?:answer|choice)', `(?:correct|right)(?:${S}+answer|${S}+choice)`]
  .flatMap((start) => quoted.map((quote) => `${start}${is}${quote}`))
  .map((pattern) => new RegExp(pattern, 'iu'));

/** A line `X. text` of the question; a line ends at \n alone. */
const optionLines = new RegExp(`(?<![^\\n])${S}*([A-Na-n])\\.${S}*([^\\n]+?)${S}*(?![^\\n])`, 'gu');

/** Whether the text says `what` with a word boundary on both sides. */
export function says(text: string, what: string): boolean {
  // In a `u` pattern an escaped code point is legal for every character.
  const literal = Array.from(what, (c) => `\\u{${(c.codePointAt(0) as number).toString(16)}}`).join('');
  return new RegExp(`${BOUNDARY}${literal}${BOUNDARY}`, 'u').test(text);
}

/** The letter that the text gives as its answer ("the answer is B"). */
export function letterSaid(text: string): string | undefined {
  return firstGroup(letterPatterns, text);
}

/** The text of an option of the question. */
export function optionText(problem: string, letter: string): string | undefined {
  const line = [...problem.matchAll(optionLines)].find(([, own]) => own === letter);
  return line && strip(line[2]);
}

/** What stands in quotes after "the answer is" and the like. */
export function quotedAnswer(text: string): string | undefined {
  const found = firstGroup(quotePatterns, text);
  return found === undefined ? undefined : strip(found);
}

function firstGroup(patterns: readonly RegExp[], text: string): string | undefined {
  for (const pattern of patterns) {
    const match = pattern.exec(text);
    if (match) return match[1];
  }
  return undefined;
}
