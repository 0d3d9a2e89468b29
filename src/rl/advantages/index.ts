import { standardDeviation } from '../statistics';
import './grpo';
import './dr-grpo';
import './rloo';
import { type AdvantageOptions, advantages } from './registry';

export { type Advantage, type AdvantageOptions, advantages } from './registry';

export interface GroupAdvantages {
  /** One number a sample, group after group: row r of a `[groups * G, tokens]` tensor is sample r. */
  readonly advantages: number[];
  /** Share of groups whose rewards are all equal (or all NaN): they teach nothing. TRL's `frac_reward_zero_std`. */
  readonly fracZeroStd: number;
  /** Samples whose reward is NaN; their advantage is 0 and they touch no mean. */
  readonly nanRewards: number;
}

/**
 * Advantages of groups of rewards. A sample with reward NaN gets 0 and its group is treated as if it were not there;
 * a group of NaN, or with one number only, is all 0.
 * @param name `grpo`, `dr_grpo`, `rloo`, or one registered in {@link advantages}
 * @param groups one list of rewards a prompt; lists may differ in length
 * @throws RangeError for an unknown name, no groups, or an infinite reward
 */
export function groupAdvantages(
  name: string,
  groups: readonly (readonly number[])[],
  options: AdvantageOptions = {},
): GroupAdvantages {
  const compute = advantages.get(name);
  if (groups.length === 0) throw new RangeError('there are no groups of rewards');
  for (const [g, rewards] of groups.entries()) {
    const at = rewards.findIndex((r) => Math.abs(r) === Infinity);
    if (at >= 0)
      throw new RangeError(
        `reward ${at} of group ${g} is ${rewards[at]}; rewards must be finite, or NaN where scoring failed`,
      );
  }
  const finite = groups.map((rewards) => rewards.filter((r) => !Number.isNaN(r)));
  const usable = finite.filter((rewards) => rewards.length > 1);
  const computed = usable.length > 0 ? compute(usable, options) : [];
  let next = 0;
  const flat = groups.flatMap((rewards, g) => {
    if (finite[g].length < 2) return rewards.map(() => 0);
    const own = computed[next++];
    let at = 0;
    return rewards.map((r) => (Number.isNaN(r) ? 0 : own[at++]));
  });
  const zero = finite.filter((rewards) => standardDeviation(rewards) < 1e-8).length;
  const nanRewards = groups.flat().filter(Number.isNaN).length;
  return { advantages: flat, fracZeroStd: zero / groups.length, nanRewards };
}
