/** What a batch of rewards looks like in numbers, under TRL's names. */
import { mean, standardDeviation } from './statistics';

/**
 * - `reward/mean`, `reward/std` over all samples, `reward/group_std`: the mean of the groups' own
 * - `frac_reward_zero_std`: share of groups without spread
 * - `rewards/NAME/mean`, `rewards/NAME/std` of each scorer, and `rewards/NAME/failed`: how many samples it could not score
 *
 * NaN (a sample that could not be scored) is left out of every mean.
 * @param groups total rewards, one list a prompt
 * @param parts each scorer's numbers, one a sample, group after group
 */
export function rewardMetrics(
  groups: readonly (readonly number[])[],
  parts: Readonly<Record<string, readonly number[]>> = {},
): Record<string, number> {
  const scored = groups.map((group) => group.filter((r) => !Number.isNaN(r)));
  const all = scored.flat();
  const spreads = scored.map((group) => standardDeviation(group));
  const metrics: Record<string, number> = {
    'reward/mean': mean(all),
    'reward/std': standardDeviation(all),
    'reward/group_std': mean(spreads),
    frac_reward_zero_std: groups.length > 0 ? spreads.filter((s) => s < 1e-8).length / groups.length : 0,
  };
  for (const [name, values] of Object.entries(parts)) {
    const there = values.filter((v) => !Number.isNaN(v));
    metrics[`rewards/${name}/mean`] = mean(there);
    metrics[`rewards/${name}/std`] = standardDeviation(there);
    metrics[`rewards/${name}/failed`] = values.length - there.length;
  }
  return metrics;
}
