/** Which parameters learn and which stand still, by name. */
import type { tf } from '../engine';

/**
 * A pattern for names: text that must be the whole name, where `*` stands for anything (`language_model.*`), or a
 * regular expression that is looked for anywhere in it.
 */
export type NamePattern = string | RegExp;

/** Whether a name fits a pattern. */
export function fitsPattern(pattern: NamePattern, name: string): boolean {
  if (pattern instanceof RegExp) return name.search(pattern) >= 0;
  const parts = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(name);
}

export interface TrainableOptions {
  /** Only what fits one of these learns. Default: all. ULM-R1 trains the language model only: `['language_model.*']`. */
  readonly only?: readonly NamePattern[];
  /** What fits one of these stands still, even if `only` names it. Default: nothing. */
  readonly frozen?: readonly NamePattern[];
}

/**
 * The variables that learn, for a supervised task's or a policy's `variables`; the others stay as they are, bit for bit.
 * @throws RangeError for a pattern that fits no name (a slip of the pen would train or freeze the wrong parts), and when
 *   nothing is left to learn
 */
export function trainableVariables(
  variables: Readonly<Record<string, tf.Variable>>,
  { only, frozen = [] }: TrainableOptions,
): Record<string, tf.Variable> {
  const names = Object.keys(variables);
  for (const pattern of [...(only ?? []), ...frozen]) {
    if (!names.some((name) => fitsPattern(pattern, name)))
      throw new RangeError(`no parameter fits the pattern ${String(pattern)}; there are ${someOf(names)}`);
  }
  const fitsOne = (name: string, patterns: readonly NamePattern[]) => patterns.some((one) => fitsPattern(one, name));
  const learning = names.filter((name) => (!only || fitsOne(name, only)) && !fitsOne(name, frozen));
  if (learning.length === 0) throw new RangeError('all parameters are frozen: there is nothing to train');
  return Object.fromEntries(learning.map((name) => [name, variables[name]]));
}

/** Some names, for errors. */
export function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
