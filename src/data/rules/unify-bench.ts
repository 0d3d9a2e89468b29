/** UnifyBench's questions with a known answer (UniCTokens, arXiv 2505.14671) and the clause score of its dense prompts. */
import { mean } from './mean';

/** One question. */
export interface UnifyRecord {
  /** `Yes.` or `No.` for recognition; the right letter for a choice. */
  readonly truth: string;
  readonly prediction: string;
}

/** Means over records, each 0 to 1. */
export interface UnifyRecognition {
  /** Over the questions whose answer is yes. */
  readonly recall: number;
  /** Over the questions whose answer is no. */
  readonly noRecall: number;
  /** Mean of the two recalls: what is reported as Rec. */
  readonly weight: number;
  /** Over all questions. */
  readonly accuracy: number;
}

const isNegative = (record: UnifyRecord): boolean => record.truth === 'No.';

/** Whether the letters of the answer occur anywhere, in any case: "know" holds a `no`, "eyes" a `yes`. A truth other than `No.` is a yes. */
export function unifyRecognitionHit(record: UnifyRecord): boolean {
  return record.prediction.toLowerCase().includes(isNegative(record) ? 'no' : 'yes');
}

/** @throws RangeError unless both kinds of question occur */
export function unifyRecognition(records: readonly UnifyRecord[]): UnifyRecognition {
  const share = (some: readonly UnifyRecord[], what: string): number =>
    mean(some.map(unifyRecognitionHit).map(Number), what);
  const recall = share(
    records.filter((record) => !isNegative(record)),
    'questions whose answer is yes',
  );
  const noRecall = share(records.filter(isNegative), 'questions whose answer is no');
  return { recall, noRecall, weight: (recall + noRecall) / 2, accuracy: share(records, 'questions') };
}

/** Whether the right letter occurs anywhere in the prediction, in its own case. */
export function unifyChoiceHit({ truth, prediction }: UnifyRecord): boolean {
  return prediction.includes(truth);
}

/** Share of hits, 0 to 1. @throws RangeError without records */
export function unifyChoice(records: readonly UnifyRecord[]): number {
  return mean(records.map(unifyChoiceHit).map(Number), 'questions');
}

// A full stop, comma or colon inside a number or a time of day ("3.5", "1,000", "12:30") ends no clause.
const clauseEnd = /(?<!\p{Nd})[.,:]|[.,:](?!\p{Nd})|[;!?\r\n，。；：！？、…]/u;

/**
 * The clauses of a dense prompt, in order: the pieces between punctuation marks and line breaks that hold a letter or
 * digit. Hyphens, quotation marks and brackets do not cut; abbreviations are cut like sentences.
 */
export function denseClauses(prompt: string): string[] {
  return prompt
    .split(clauseEnd)
    .map((piece) => piece.trim())
    .filter((piece) => /[\p{L}\p{N}]/u.test(piece));
}

/** Mean of a judge's 0 or 1 for each clause; null for a prompt without clauses. */
export function denseScore(judged: readonly number[]): number | null {
  return judged.length === 0 ? null : mean(judged, 'clauses');
}

/** Mean over the prompts that have clauses. @throws RangeError when none has */
export function denseMean(scores: readonly (number | null)[]): number {
  return mean(
    scores.filter((score) => score !== null),
    'prompts with clauses',
  );
}
