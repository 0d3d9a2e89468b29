/**
 * A few sizes for what varies from batch to batch (rows, lengths, scored positions), so that shapes come again: a
 * function that was compiled for one shape serves every batch of it. Larger sizes cost work; both rules bound it.
 */

/** Sizes a doubling: the finer, the less padding and the more shapes. */
export type Fineness = 4 | 8 | 16;

/**
 * The smallest size of a geometric series that is not below a count: with 8 sizes a doubling 8, 9 .. 16, 18 .. 32, 36 ..
 * More work by 1 / `fineness` at most, by about a third of that on average.
 * @param count whole number, 0 or above; up to `fineness` it is a size itself
 * @example sizeFor(131, 8) // 144
 */
export function sizeFor(count: number, fineness: Fineness = 8): number {
  if (count <= fineness) return count;
  const step = 2 ** Math.floor(Math.log2(count - 1)) / fineness;
  return step < 1 ? count : Math.ceil(count / step) * step;
}

/** Sizes of one batch by name: the length of its rows, say, and how many positions are scored. */
export type Sizes<Name extends string> = Readonly<Record<Name, number>>;

/**
 * Two joint sizes for batches of one kind, chosen from a sample of them: the sample's largest of each count, rounded up,
 * and a smaller one where it saves work. Joint, because sizes that are rounded one by one multiply: three lengths with
 * three sizes each are 27 shapes.
 * @param sample counts of some batches
 * @param work what a batch of given sizes costs, in any unit
 * @returns ascending by work; one where a second one would save less than `worth`
 * @param worth share of the work that a second size must save. Default 0.04
 * @throws RangeError for an empty sample
 */
export function chooseSizes<Name extends string>(
  sample: readonly Sizes<Name>[],
  work: (sizes: Sizes<Name>) => number,
  worth = 0.04,
): Sizes<Name>[] {
  if (sample.length === 0) throw new RangeError('sizes are chosen from one batch at least');
  const ordered = [...sample].sort((a, b) => work(a) - work(b));
  const largest = roundedUp(largestOf(ordered));
  const total = (small: Sizes<Name>, count: number) => count * work(small) + (ordered.length - count) * work(largest);
  let best = { sizes: [largest], cost: (1 - worth) * ordered.length * work(largest) };
  for (let count = 1; count < ordered.length; count++) {
    const small = roundedUp(largestOf(ordered.slice(0, count)));
    const fitting = ordered.filter((batch) => fits(batch, small)).length;
    const cost = total(small, fitting);
    if (cost < best.cost) best = { sizes: [small, largest], cost };
  }
  return best.sizes;
}

/** The first of the sizes that a batch fits into; for one that fits into none, its own counts, rounded up. */
export function fittingSizes<Name extends string>(batch: Sizes<Name>, sizes: readonly Sizes<Name>[]): Sizes<Name> {
  const largest = sizes.length > 0 ? sizes[sizes.length - 1] : batch;
  return sizes.find((one) => fits(batch, one)) ?? roundedUp(largestOf([batch, largest]), 4);
}

const names = <Name extends string>(sizes: Sizes<Name>) => Object.keys(sizes) as Name[];

function fits<Name extends string>(batch: Sizes<Name>, sizes: Sizes<Name>): boolean {
  return names(batch).every((name) => batch[name] <= sizes[name]);
}

function largestOf<Name extends string>(list: readonly Sizes<Name>[]): Sizes<Name> {
  const most = names(list[0]).map((name) => [name, Math.max(...list.map((one) => one[name]))]);
  return Object.fromEntries(most) as Sizes<Name>;
}

function roundedUp<Name extends string>(sizes: Sizes<Name>, fineness: Fineness = 16): Sizes<Name> {
  return Object.fromEntries(names(sizes).map((name) => [name, sizeFor(sizes[name], fineness)])) as Sizes<Name>;
}

/**
 * How many rows are computed while fewer and fewer of a batch go on: all of them, or a half, or a quarter, rounded up.
 * Three shapes, however the rows end.
 * @param live rows that go on, at least 1 @param first rows at the beginning
 * @example rowsFor(7, 18) // 9
 */
export function rowsFor(live: number, first: number): number {
  const [half, quarter] = [Math.ceil(first / 2), Math.ceil(first / 4)];
  if (live > half) return first;
  return live > quarter ? half : quarter;
}

/** Tokens of the least room that there is: prompts of every kind fit into it, where answers are short. */
const LEAST_ROOM = 128;

/** Room for what is long and computed or held once: up to 128 tokens one size for all, beyond them a few. */
export function roomFor(tokens: number): number {
  return tokens <= LEAST_ROOM ? LEAST_ROOM : sizeFor(tokens, 4);
}

/**
 * How large the parts are that a count is cut into when none may be larger than `most`: as even as they get, so that
 * one shape serves all of them with little padding.
 * @param count at least 1
 * @example evenPart(18, 12) // 9
 */
export function evenPart(count: number, most: number): number {
  return Math.ceil(count / Math.ceil(count / most));
}

/** A list in parts of a size; the last one may be smaller. */
export function partsOf<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
}
