/** Multiple choice without a judge model, as VLMEvalKit reads it (MMStar, MMMU and the like; arXiv 2407.11691). */
import { splitWords } from '../../text';
import { mean } from './mean';

/** Letter to text, e.g. `{ A: 'a red cat', B: 'two dogs' }`. */
export type Choices = Readonly<Record<string, string>>;

export interface MultipleChoiceRecord {
  readonly prediction: string;
  /** The right letter. */
  readonly answer: string;
  readonly choices: Choices;
}

/** The letter that stands for "none of them": a refusal, or an answer that no rule decides. */
export const noChoice = 'Z';

const failure = 'Failed to obtain answer via API';

const refusals = [
  "Sorry, I can't help with images of people yet.",
  "I can't process this file.",
  "I'm sorry, but without the image provided",
  'Cannot determine the answer',
];

/**
 * The letter rule. One choice letter as a word of its own counts if it first occurs among the last four words (the
 * article "A" is the letter A); else the letter A to D after "answer is", in any case and also at the start of a longer
 * word ("the answer is clear" gives C).
 * @returns a letter of `choices`, `Z` for a refusal, null when undecided
 */
export function choiceByLetter(prediction: string, choices: Choices): string | null {
  if (prediction.includes(failure)) return null;
  if (refusals.some((refusal) => prediction.includes(refusal))) return noChoice;
  const words = splitWords(prediction.replace(/[.()[\],:;!*#{}]/g, ' '));
  const found = Object.keys(choices).filter((letter) => words.includes(letter));
  if (found.length === 1 && words.indexOf(found[0]) > words.length - 5) return found[0];
  if (found.length === 0 && words.includes(noChoice)) return noChoice;
  const said = /answer\s+is\s+\**([A-D])/i.exec(prediction)?.[1].toUpperCase();
  return said !== undefined && Object.hasOwn(choices, said) ? said : null;
}

/**
 * The text rule: the one choice whose text occurs in the prediction, in any case; nothing for a prediction longer than
 * twice all the texts together.
 * @returns null when none or several occur
 */
export function choiceByText(prediction: string, choices: Choices): string | null {
  const length = (text: string): number => [...text].length;
  const total = Object.values(choices).reduce((sum, text) => sum + length(text), 0);
  const said = prediction.toLowerCase();
  if (length(said) > 2 * total) return null;
  const found = Object.keys(choices).filter((letter) => said.includes(choices[letter].toLowerCase()));
  return found.length === 1 ? found[0] : null;
}

/** The letter by the letter rule, else by the text rule; null when neither decides. */
export function inferChoice(prediction: string, choices: Choices): string | null {
  return choiceByLetter(prediction, choices) ?? choiceByText(prediction, choices);
}

/** Whether the inferred letter is the right one; an undecided answer is wrong. */
export function multipleChoiceHit({ prediction, answer, choices }: MultipleChoiceRecord): boolean {
  return (inferChoice(prediction, choices) ?? noChoice) === answer;
}

/** Share of hits, 0 to 1. @throws RangeError without records */
export function multipleChoiceAccuracy(records: readonly MultipleChoiceRecord[]): number {
  return mean(records.map(multipleChoiceHit).map(Number), 'questions');
}
