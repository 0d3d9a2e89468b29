/** What sets of questions have in common: images, a question, its answer, the letters to choose from. */
import type { ItemImage } from './item-images';
import type { TextStyle } from './personalization';

export interface QuestionItem {
  readonly id: string;
  readonly images: readonly ItemImage[];
  readonly question: string;
  /** The right letter where there are choices. Test splits without answers: undefined. */
  readonly answer?: string;
  /** Letter -> text; empty for an open question. */
  readonly choices: Readonly<Record<string, string>>;
  readonly hint?: string;
  readonly category?: string;
}

/**
 * The question as VLMEvalKit asks it: hint, question, choices a line each, and what to answer with.
 * @param style `spaced`: as the mini world puts it, "what colour is the car ? a . red b . blue"
 */
export function questionText({ hint, question, choices }: QuestionItem, style: TextStyle = 'plain'): string {
  if (style === 'spaced') {
    const lettered = Object.entries(choices).map(([letter, text]) => `${letter.toLowerCase()} . ${text}`);
    return [...(hint ? [hint] : []), question, ...lettered].join(' ');
  }
  const lines = [...(hint ? [`Hint: ${hint}`] : []), `Question: ${question}`];
  const options = Object.entries(choices).map(([letter, text]) => `${letter}. ${text}`);
  if (options.length === 0) return lines.join('\n');
  return [...lines, 'Options:', ...options, 'Please select the correct answer from the options above.'].join('\n');
}

/** An answer as the rules read it: where sentences are spaced, words are in lower case, and so is a letter. */
export function answerText(said: string, style: TextStyle = 'plain'): string {
  const letter = style === 'spaced' ? /^\s*([a-i])[\s.]*$/.exec(said)?.[1] : undefined;
  return letter?.toUpperCase() ?? said;
}

export const letters = 'ABCDEFGHI';

/** Texts in their order under A, B, C, ... */
export const lettered = (texts: readonly string[]): Record<string, string> =>
  Object.fromEntries(texts.map((text, i) => [letters[i], text]));
