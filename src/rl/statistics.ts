/** Mean and standard deviation of rewards, in double precision. */

/** 0 for an empty list. */
export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, v) => sum + v, 0) / values.length;
}

/** Over n - 1, or over n when `population`; 0 for fewer than two values. */
export function standardDeviation(values: readonly number[], population = false): number {
  if (values.length < 2) return 0;
  const centre = mean(values);
  const squares = values.reduce((sum, v) => sum + (v - centre) ** 2, 0);
  return Math.sqrt(squares / (population ? values.length : values.length - 1));
}
