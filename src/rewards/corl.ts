/**
 * CoRL's rewards of text answers: R_mcq, R_oe and R_format. The paper says "1 if the prediction matches the ground truth"
 * and "strict compliance"; what that means letter by letter follows the released code.
 */
import { answerIn, expectedAnswer, isThoughtThenAnswer, softJaccard, strip, tagsOccurringOnce } from '../text';
import { letterSaid, optionText, quotedAnswer, says } from './corl-choice';
import { defineReward, type Reward, type RewardSample, type Score } from './reward';

/** What these rewards ask a task for. */
export interface AnswerTruth {
  /** The answer, in `<answer>` tags or plain; a letter for multiple choice. */
  readonly solution: string;
  /** The question with its options, one a line (`B. a dog`). Default: the sample's prompt. */
  readonly problem?: string;
  /** How this question is answered, in data that mixes both kinds; it goes before the reward's own form, unless that is `soft`. */
  readonly form?: 'open_ended' | 'multiple_choice';
}

export interface AccuracyOptions {
  /**
   * `open_ended` (default): 1 for an equal answer, else 0. `multiple_choice`: the letter may stand in a sentence, or the
   * option's own words in its place. `soft`: words that agree or nearly agree count too; what CoRL's released trainer
   * uses for every kind of question.
   */
  readonly form?: 'open_ended' | 'multiple_choice' | 'soft';
}

export interface FormatOptions {
  /**
   * `whole` (default): 1 when the whole completion is a thought and an answer; further tags may stand inside of both.
   * `once`: that, and each of the four tags once. `tags`: 0.125 for each tag that occurs once, wherever it stands.
   */
  readonly form?: 'whole' | 'once' | 'tags';
}

const ones =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen';
const tens = 'twenty thirty forty fifty sixty seventy eighty ninety hundred';
const numberWords: ReadonlyMap<string, string> = new Map([
  ...ones.split(' ').map((word, i) => [word, String(i)] as const),
  ...tens.split(' ').map((word, i) => [word, String(20 + 10 * i)] as const),
  ...['thousand', 'million', 'billion'].map((word, i) => [word, String(1000 ** (i + 1))] as const),
]);

/**
 * Whether two answers are equal: case, outer white space and the answer's last dots do not count, and one English number
 * word equals its digits.
 */
export function equalAnswers(answer: string, expected: string): boolean {
  const own = plain(answer.replace(/\.+$/, ''));
  const other = plain(expected);
  return own === other || numberWords.get(own) === other || numberWords.get(other) === own;
}

function plain(text: string): string {
  return strip(text.toLowerCase());
}

/** Accuracy of a completion in [0, 1], with the reason when the question cannot be read. */
export function answerAccuracy(
  completion: string,
  truth: AnswerTruth & { readonly problem: string },
  options: AccuracyOptions = {},
): Score {
  const answer = answerIn(completion);
  const expected = expectedAnswer(truth.solution);
  if (equalAnswers(answer, expected)) return { value: 1 };
  switch (options.form === 'soft' ? 'soft' : (truth.form ?? options.form ?? 'open_ended')) {
    case 'open_ended':
      return { value: 0 };
    case 'soft':
      return { value: softJaccard(answer.replace(/[.,!?]+$/, ''), expected) };
    case 'multiple_choice':
      return choiceAccuracy(answer, expected, truth.problem);
  }
}

function choiceAccuracy(answer: string, expected: string, problem: string): Score {
  // Shorter than three characters it can only be a letter, which is another one here ("B)" is not read as B).
  if (Array.from(answer).length <= 2) return { value: 0 };
  if (says(answer, expected)) {
    const letter = letterSaid(answer);
    return { value: letter !== undefined && equalAnswers(letter, expected) ? 1 : 0 };
  }
  const option = optionText(problem, expected);
  if (option === undefined) return { value: 0, reason: `the question has no option '${expected}'` };
  return { value: says(answer, option) && equalAnswers(quotedAnswer(answer) ?? answer, option) ? 1 : 0 };
}

/** `accuracy_FORM`: the completion's answer against the task's, in [0, 1]; NaN where the task gives none (CoRL's R_mcq and R_oe). */
export function answerReward(options: AccuracyOptions = {}): Reward<AnswerTruth> {
  return defineReward<AnswerTruth>(`accuracy_${options.form ?? 'open_ended'}`, [0, 1], (samples) =>
    samples.map(({ completion, prompt, truth }: RewardSample<Partial<AnswerTruth> | undefined>) => {
      if (typeof truth?.solution !== 'string') return { value: NaN, reason: 'the task gives no solution' };
      const { solution, problem = prompt, form } = truth;
      return answerAccuracy(completion, { solution, problem, form }, options);
    }),
  );
}

/** Whether a completion keeps to `<think>...</think><answer>...</answer>`: 0 or 1, for `tags` at most 0.5. */
export function answerFormat(completion: string, { form = 'whole' }: FormatOptions = {}): number {
  const once = tagsOccurringOnce(completion);
  if (form === 'tags') return once / 8;
  return isThoughtThenAnswer(completion) && (form === 'whole' || once === 4) ? 1 : 0;
}

/** `format`, `format_once` or `format_tags` (CoRL's R_format). */
export function formatReward(options: FormatOptions = {}): Reward {
  const { form = 'whole' } = options;
  return defineReward(form === 'whole' ? 'format' : `format_${form}`, [0, form === 'tags' ? 0.5 : 1], (samples) =>
    samples.map(({ completion }) => answerFormat(completion, options)),
  );
}
