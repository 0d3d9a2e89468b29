import { mean, standardDeviation } from '../statistics';
import { advantages } from './registry';

/** `rloo`: r - mean of the group's other members; with `normalize`, z-scored over the batch. */
export const rloo = advantages.register('rloo', (groups, { normalize = false, epsilon = 1e-4 }) => {
  const left = groups.map((rewards) => {
    const sum = rewards.reduce((a, b) => a + b, 0);
    return rewards.map((r) => r - (sum - r) / (rewards.length - 1));
  });
  if (!normalize) return left;
  const all = left.flat();
  const centre = mean(all);
  const spread = standardDeviation(all) + epsilon;
  return left.map((group) => group.map((a) => (a - centre) / spread));
});
