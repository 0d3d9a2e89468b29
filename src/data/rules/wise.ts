/** WISE (Niu et al. 2025, arXiv 2503.07265): world knowledge in pictures, in its first version and the later verified one. */
import { grouped, mean } from './mean';

/** `graded`: three marks a picture (WiScore); `verified`: one 0 or 1 a picture, with other categories and weights. */
export type WiseVersion = 'graded' | 'verified';

export type WiseCategory = 'CULTURE' | 'TIME' | 'SPACE' | 'BIOLOGY' | 'PHYSICS' | 'CHEMISTRY';

/** The judge's marks of one picture, 0 to 2 each. */
export interface WiseMarks {
  readonly consistency: number;
  readonly realism: number;
  readonly aestheticQuality: number;
}

export interface WiseRecord {
  /** 1 to 1000; it decides the category. */
  readonly promptId: number;
  /** 0 to 1: `wiScore` of the marks, or the verified version's 0 or 1. */
  readonly score: number;
}

export interface WiseSummary {
  /** Mean score of the categories that occur. */
  readonly categories: ReadonlyMap<WiseCategory, number>;
  /** Pictures in each of them. */
  readonly counts: ReadonlyMap<WiseCategory, number>;
  /** Weighted sum over the six categories, 0 to 1; null unless all six occur. */
  readonly overall: number | null;
}

type Row = readonly [category: WiseCategory, last: number, weight: number];

/** Each category with its last prompt id (the first follows the row before) and its weight. */
const rows: Record<WiseVersion, readonly Row[]> = {
  graded: [
    ['CULTURE', 400, 0.4],
    ['TIME', 567, 0.167],
    ['SPACE', 700, 0.133],
    ['BIOLOGY', 800, 0.1],
    ['PHYSICS', 900, 0.1],
    ['CHEMISTRY', 1000, 0.1],
  ],
  verified: [
    ['CULTURE', 400, 0.4],
    ['TIME', 520, 0.12],
    ['SPACE', 640, 0.12],
    ['BIOLOGY', 760, 0.12],
    ['PHYSICS', 880, 0.12],
    ['CHEMISTRY', 1000, 0.12],
  ],
};

/** WiScore of one picture: (0.7 consistency + 0.2 realism + 0.1 aesthetic quality) / 2, 0 to 1. */
export function wiScore({ consistency, realism, aestheticQuality }: WiseMarks): number {
  return (0.7 * consistency + 0.2 * realism + 0.1 * aestheticQuality) / 2;
}

/** @throws RangeError for an id that is no whole number from 1 to 1000 */
export function wiseCategory(promptId: number, version: WiseVersion = 'graded'): WiseCategory {
  const row = rows[version].find(([, last]) => promptId <= last);
  if (!row || promptId < 1 || !Number.isInteger(promptId))
    throw new RangeError(`prompt ids of WISE run from 1 to 1000; got ${promptId}`);
  return row[0];
}

/** Means by category and their weighted sum. @throws RangeError for ids outside 1 to 1000 */
export function wise(records: readonly WiseRecord[], version: WiseVersion = 'graded'): WiseSummary {
  const groups = grouped(records.map((r) => [wiseCategory(r.promptId, version), r.score] as const));
  const categories = new Map([...groups].map(([category, scores]) => [category, mean(scores, category)]));
  const weighted = rows[version].map(([category, , weight]) => weight * (categories.get(category) ?? NaN));
  const overall = weighted.reduce((a, b) => a + b, 0);
  return {
    categories,
    counts: new Map([...groups].map(([category, scores]) => [category, scores.length])),
    overall: Number.isNaN(overall) ? null : overall,
  };
}

/**
 * The marks in a judge's answer: after each name one digit, the last occurrence of a name wins. A colon inside the stars
 * (`**Realism:** 2`) is not read, as the released script does not. Where no name has a mark, the first three of at least
 * three lines that are only 0, 1 or 2.
 * @returns what was found; `complete` says whether that is all three
 */
export function readWiseMarks(answer: string): { readonly marks: Partial<WiseMarks>; readonly complete: boolean } {
  const marks: { -readonly [K in keyof WiseMarks]?: number } = {};
  const names = { consistency: 'consistency', realism: 'realism', 'aesthetic quality': 'aestheticQuality' } as const;
  for (const [, name, digit] of answer.matchAll(/(consistency|realism|aesthetic quality)\*{0,2}\s*:?\s*([0-9])/gi))
    marks[names[name.toLowerCase() as keyof typeof names]] = Number(digit);
  if (Object.keys(marks).length === 0) {
    const lines = answer.split('\n').filter((line) => /^\s*[0-2]\s*$/.test(line));
    if (lines.length >= 3) [marks.consistency, marks.realism, marks.aestheticQuality] = lines.map(Number);
  }
  return { marks, complete: Object.keys(marks).length === 3 };
}
