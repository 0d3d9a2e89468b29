/** Plain means, as all the benchmarks take them. */

/** @throws RangeError for no values: `what` says what is missing */
export function mean(values: readonly number[], what: string): number {
  if (values.length === 0) throw new RangeError(`a mean needs at least one of: ${what}`);
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Values by the key that stands with them, keys in the order of their first occurrence. */
export function grouped<K, V>(entries: Iterable<readonly [K, V]>): Map<K, V[]> {
  const groups = new Map<K, V[]>();
  for (const [key, value] of entries) {
    const group = groups.get(key);
    if (group) group.push(value);
    else groups.set(key, [value]);
  }
  return groups;
}
