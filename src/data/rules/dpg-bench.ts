/** DPG-Bench (Hu et al. 2024, arXiv 2403.05135): questions about a picture that depend on one another, as the released script counts them. */
import { grouped, mean } from './mean';

export interface DpgQuestion {
  readonly id: number;
  /** Kind and arguments, e.g. `entity - whole (cat, x)`. */
  readonly tuple: string;
  /** Ids of the questions that must hold before this one makes sense; 0 is none. */
  readonly dependency: readonly number[];
}

/** One prompt. */
export interface DpgItem {
  readonly questions: readonly DpgQuestion[];
  /** [picture][question], in the order of `questions`; only `yes`, exactly, counts. */
  readonly answers: readonly (readonly string[])[];
}

export interface DpgItemScore {
  /** [picture][question], 0 or 1, after questions without their ground were set to 0. */
  readonly questions: readonly (readonly number[])[];
  /** Mean over the questions of each picture, 0 to 1. */
  readonly pictures: readonly number[];
  /** Mean over the pictures, 0 to 1. */
  readonly score: number;
}

export interface DpgSummary {
  /** 0 to 100. */
  readonly score: number;
  readonly items: readonly DpgItemScore[];
  /** 0 to 100 by the first word of the kind, e.g. `entity`. */
  readonly level1: ReadonlyMap<string, number>;
  /** 0 to 100 by the whole kind, e.g. `entity - whole`. */
  readonly level2: ReadonlyMap<string, number>;
}

/**
 * Scores of one picture's questions. They are set to 0 in the listed order and in place: a "no" runs down a chain whose
 * parents are listed first, while a child that is listed before its parent sees only the parent's own answer.
 * @throws RangeError for a number of answers that differs, or a dependency on a question that is not there
 */
export function dpgQuestionScores(questions: readonly DpgQuestion[], answers: readonly string[]): number[] {
  if (answers.length !== questions.length)
    throw new RangeError(`there are ${answers.length} answers to ${questions.length} questions`);
  const scores = new Map(questions.map((question, i) => [question.id, own(answers[i])]));
  for (const { id, dependency } of questions) {
    for (const parent of dependency) {
      if (parent === 0) continue;
      const score = scores.get(parent);
      if (score === undefined) throw new RangeError(`question ${id} depends on question ${parent}, which is not there`);
      if (score === 0) scores.set(id, 0);
    }
  }
  return questions.map((question) => scores.get(question.id) ?? 0);
}

/** One item. @throws RangeError without pictures or questions */
export function dpgItemScore({ questions, answers }: DpgItem): DpgItemScore {
  const scores = answers.map((picture) => dpgQuestionScores(questions, picture));
  const pictures = scores.map((picture) => mean(picture, 'questions of an item'));
  return { questions: scores, pictures, score: mean(pictures, 'pictures of an item') };
}

/**
 * The whole benchmark. The two levels are what the script reports: of the answers as given, whatever they depend on,
 * and of the last picture of each item only.
 * @throws RangeError without items, or for an item that cannot be scored
 */
export function dpgBench(items: readonly DpgItem[]): DpgSummary {
  const scored = items.map(dpgItemScore);
  const asked = items.flatMap(({ questions, answers }) =>
    questions.map(({ tuple }, i) => [tuple.split('(')[0].trim(), own(answers[answers.length - 1][i])] as const),
  );
  return {
    score:
      100 *
      mean(
        scored.map((item) => item.score),
        'items',
      ),
    items: scored,
    level1: percentages(asked.map(([kind, score]) => [kind.split('-')[0].trim(), score])),
    level2: percentages(asked),
  };
}

function own(answer: string): number {
  return answer === 'yes' ? 1 : 0;
}

function percentages(entries: readonly (readonly [string, number])[]): ReadonlyMap<string, number> {
  return new Map([...grouped(entries)].map(([kind, scores]) => [kind, 100 * mean(scores, kind)]));
}
