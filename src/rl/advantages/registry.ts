import { Registry } from '../registry';

/** What an advantage may be told beyond the rewards. Each reads what concerns it. */
export interface AdvantageOptions {
  /** `grpo`: over what the standard deviation is taken, `group` (default) or all rewards of the `batch`. */
  std?: 'group' | 'batch';
  /** `grpo`: standard deviation over n - 1 (default, TRL and CoRL) or over n. */
  population?: boolean;
  /** Added to a standard deviation before dividing, default 1e-4. */
  epsilon?: number;
  /** `rloo`: also subtract the batch's mean and divide by its standard deviation. Default false. */
  normalize?: boolean;
}

/**
 * Turns rewards into advantages. NaN rewards have been taken out: every group holds finite numbers, at least two.
 * @param groups one list of rewards a prompt
 * @returns the same shape
 */
export type Advantage = (groups: readonly (readonly number[])[], options: AdvantageOptions) => number[][];

export const advantages = new Registry<Advantage>('advantage');
