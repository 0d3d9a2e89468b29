/** One comparison with a reference number, and the ways to make one. */

/** One line of the report. */
export interface Check {
  /** The case: which input or setting. */
  readonly name: string;
  /** What was compared. */
  readonly quantity: string;
  /** The largest difference (for exact things: how many differ). */
  readonly error: number;
  readonly tolerance: string;
  readonly ok: boolean;
  /** Said after a failure. */
  readonly why?: string;
}

/** @param description the parsed case file of the folder */
export type ParityHandler = (
  folder: string,
  description: Record<string, unknown>,
) => AsyncGenerator<Check, void, undefined>;

type Numbers = ArrayLike<number>;

/** Largest absolute difference at most `tolerance`; NaN never passes, and lengths must agree. */
export function close(name: string, quantity: string, got: Numbers, expected: Numbers, tolerance: number): Check {
  return compare(name, quantity, got, expected, `${tolerance}`, (difference) => difference <= tolerance);
}

/** Every number within `absolute`, or within `relative` of the expected one. */
export function closeOrRelative(
  name: string,
  quantity: string,
  got: Numbers,
  expected: Numbers,
  absolute: number,
  relative: number,
): Check {
  const within = (difference: number, e: number): boolean =>
    difference <= absolute || difference <= relative * Math.abs(e);
  return compare(name, quantity, got, expected, `${absolute} or ${relative} relative`, within);
}

/** Every number equal; the error is how many are not. */
export function same(name: string, quantity: string, got: ArrayLike<unknown>, expected: ArrayLike<unknown>): Check {
  if (got.length !== expected.length) return lengths(name, quantity, got.length, expected.length, 'exact');
  let differ = 0;
  let why: string | undefined;
  for (let i = 0; i < got.length; i++) {
    if (Object.is(got[i], expected[i]) || got[i] === expected[i]) continue;
    differ++;
    why ??= `at ${i}: got ${String(got[i])}, expected ${String(expected[i])}`;
  }
  return { name, quantity, error: differ, tolerance: 'exact', ok: differ === 0, why };
}

/** Something that must hold; the error is 0 or 1. */
export function holds(name: string, quantity: string, ok: boolean, why?: string): Check {
  return { name, quantity, error: ok ? 0 : 1, tolerance: 'exact', ok, why: ok ? undefined : why };
}

function compare(
  name: string,
  quantity: string,
  got: Numbers,
  expected: Numbers,
  tolerance: string,
  within: (difference: number, expected: number) => boolean,
): Check {
  if (got.length !== expected.length) return lengths(name, quantity, got.length, expected.length, tolerance);
  let error = 0;
  let why: string | undefined;
  for (let i = 0; i < got.length; i++) {
    const difference = got[i] === expected[i] ? 0 : Math.abs(got[i] - expected[i]);
    if (!(difference <= error)) error = difference;
    if (!within(difference, expected[i])) why ??= `at ${i}: got ${got[i]}, expected ${expected[i]}`;
  }
  return { name, quantity, error, tolerance, ok: why === undefined, why };
}

function lengths(name: string, quantity: string, got: number, expected: number, tolerance: string): Check {
  return { name, quantity, error: Infinity, tolerance, ok: false, why: `got ${got} numbers, expected ${expected}` };
}

/** A check as its line. */
export function line(check: Check): string {
  const verdict = check.ok ? 'ok' : `FAILED${check.why ? ` (${check.why})` : ''}`;
  const error = Number.isInteger(check.error) ? String(check.error) : check.error.toExponential(1);
  return `${check.name}  ${check.quantity}  max error ${error}  tolerance ${check.tolerance}  ${verdict}`;
}
