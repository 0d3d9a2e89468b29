/** Whether what a paper says of its tables follows from them: every claim is computed anew from the printed cells. */
import { type Claim, numberAt, type Paper, type PaperTable, type Reading, tableOf } from './schema';

export interface CheckedReading {
  /** What was computed, in words. */
  readonly reading: string;
  /** In the unit of the claim; NaN for a claim of order. */
  readonly value: number;
  readonly holds: boolean;
  /** Cells that speak against a claim of order. */
  readonly against: readonly string[];
}

export interface CheckedClaim {
  readonly claim: Claim;
  /** `follows`: by the plain reading; `only if`: by another one; `does not follow`: by none that we could think of. */
  readonly verdict: 'follows' | 'only if' | 'does not follow';
  readonly readings: readonly CheckedReading[];
}

type Of<K extends Reading['kind']> = Extract<Reading, { kind: K }>;

/** In percent, whatever the column's unit. */
function inPercent(table: PaperTable, row: string, column: string): number {
  const unit = table.columns.find(({ name }) => name === column)?.unit;
  return numberAt(table, row, column) * (unit === 'fraction' ? 100 : 1);
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The best of several rows in a column; dashes are left out. */
const bestOf = (rows: readonly string[], of: (row: string) => number): number =>
  Math.max(...rows.map(of).filter((value) => !Number.isNaN(value)));

/** Numbers that a claim may state. */
const computed = {
  'mean-relative': (table: PaperTable, { row, over, columns }: Of<'mean-relative'>) =>
    mean(columns.map((column) => gainIn(table, row, over, column))),
  'relative-of-means': (table: PaperTable, { row, over, columns }: Of<'relative-of-means'>) => {
    const [ours, theirs] = [row, over[0]].map((one) => mean(columns.map((column) => inPercent(table, one, column))));
    return (100 * (ours - theirs)) / theirs;
  },
  'relative-to-row': (table: PaperTable, { row, over, columns }: Of<'relative-to-row'>) =>
    mean(columns.map((column) => 100 * (1 - numberAt(table, over[0], column) / numberAt(table, row, column)))),
  difference: (table: PaperTable, { row, over, columns, scale }: Of<'difference'>) => {
    const units = new Set(columns.map((column) => table.columns.find(({ name }) => name === column)?.unit));
    const at = units.size > 1 ? inPercent : numberAt;
    return scale * mean(columns.map((column) => at(table, row, column) - at(table, over[0], column)));
  },
};

/** (row - over) / over in percent. */
function gainIn(table: PaperTable, row: string, over: readonly string[], column: string): number {
  const base = bestOf(over, (name) => numberAt(table, name, column));
  return (100 * (numberAt(table, row, column) - base)) / base;
}

/** Cells that speak against a claim of order, and how many were looked at. */
const compared = {
  rank(table: PaperTable, { row, columns, rank, groups, labels = {} }: Of<'rank'>) {
    const rivals = table.rows.filter(
      (one) =>
        (!groups || groups.includes(one.group ?? '')) &&
        (one.name === row ||
          Object.entries(labels).every(([key, allowed]) => allowed.includes(one.labels?.[key] ?? ''))),
    );
    return columns.flatMap((column) => {
      const ours = numberAt(table, row, column);
      const above = rivals.filter(({ name }) => numberAt(table, name, column) > ours);
      if (above.length === rank - 1) return [];
      const better = above.map(({ name }) => `${name} ${numberAt(table, name, column)}`).join(', ');
      return [`${column}: place ${above.length + 1} with ${ours}${better && `, behind ${better}`}`];
    });
  },
  better(table: PaperTable, { row, over, columns }: Of<'better'>, rivals: PaperTable) {
    return columns.flatMap((column) => {
      const ours = numberAt(table, row, column);
      return over
        .filter((name) => !Number.isNaN(ours) && numberAt(rivals, name, column) >= ours)
        .map((name) => `${column}: ${ours}, ${name} ${numberAt(rivals, name, column)}`);
    });
  },
  largest(table: PaperTable, { row, over, columns, expected }: Of<'largest'>) {
    const gains = columns.map((column) => ({ column, gain: gainIn(table, row, over, column) }));
    const [top] = gains.toSorted((a, b) => b.gain - a.gain);
    if (expected.includes(top.column)) return [];
    return gains.map(({ column, gain }) => `${column}: ${gain >= 0 ? '+' : ''}${gain.toFixed(1)}%`);
  },
  'highest-mean'(table: PaperTable, { row, columns }: Of<'highest-mean'>) {
    const meanOf = (name: string) => mean(columns.map((column) => numberAt(table, name, column)));
    const rivals = table.rows.filter(({ name }) => name !== row && meanOf(name) >= meanOf(row));
    return rivals.map(({ name }) => `${name}: ${meanOf(name).toFixed(3)}, ${row} ${meanOf(row).toFixed(3)}`);
  },
};

function orderOf(paper: Paper, table: PaperTable, reading: Reading): readonly string[] {
  switch (reading.kind) {
    case 'rank':
      return compared.rank(table, reading);
    case 'better':
      return compared.better(table, reading, tableOf(paper, reading.overTable ?? reading.table));
    case 'largest':
      return compared.largest(table, reading);
    case 'highest-mean':
      return compared['highest-mean'](table, reading);
    default:
      throw new Error(`'${reading.kind}' computes a number: the claim must state one`);
  }
}

function valueOf(table: PaperTable, reading: Reading): number {
  switch (reading.kind) {
    case 'mean-relative':
      return computed['mean-relative'](table, reading);
    case 'relative-of-means':
      return computed['relative-of-means'](table, reading);
    case 'relative-to-row':
      return computed['relative-to-row'](table, reading);
    case 'difference':
      return computed.difference(table, reading);
    default:
      throw new Error(`'${reading.kind}' compares: the claim must not state a number`);
  }
}

function wordsOf(reading: Reading): string {
  if (reading.reading) return reading.reading;
  const over = 'over' in reading ? ` against ${reading.over.join(', ')}` : '';
  const rank = reading.kind === 'rank' ? ` (place ${reading.rank})` : '';
  return `Table ${reading.table}: ${reading.row}${over}${rank}`;
}

function checkReading(paper: Paper, claim: Claim, reading: Reading): CheckedReading {
  const table = tableOf(paper, reading.table);
  const words = { reading: wordsOf(reading) };
  if (claim.stated === undefined) {
    const against = orderOf(paper, table, reading);
    const allowed = reading.kind === 'better' ? (1 - (reading.share ?? 1)) * reading.columns.length : 0;
    return { ...words, value: NaN, against, holds: against.length <= allowed + 1e-9 };
  }
  const value = valueOf(table, reading);
  const half = 0.5 * 10 ** -(claim.decimals ?? 0);
  return { ...words, value, against: [], holds: Math.abs(value - claim.stated) <= half + 1e-9 };
}

/**
 * A claim by each of its readings. A stated number holds when the computed one rounds to it.
 * @throws Error for a claim that names a table, row or column that is not there, or mixes numbers with order
 */
export function checkClaim(paper: Paper, claim: Claim): CheckedClaim {
  const readings = claim.readings.map((reading) => checkReading(paper, claim, reading));
  const first = readings.findIndex(({ holds }) => holds);
  return { claim, readings, verdict: first === 0 ? 'follows' : first > 0 ? 'only if' : 'does not follow' };
}
