import { mean, standardDeviation } from '../statistics';
import { advantages } from './registry';

/** `grpo`: (r - mean) / (std + epsilon), the mean by group, std by group or by batch (DeepSeekMath; TRL's `scale_rewards`). */
export const grpo = advantages.register('grpo', (groups, { std = 'group', population = false, epsilon = 1e-4 }) => {
  const ofBatch = standardDeviation(groups.flat(), population);
  return groups.map((rewards) => {
    const centre = mean(rewards);
    const spread = std === 'batch' ? ofBatch : standardDeviation(rewards, population);
    return rewards.map((r) => (r - centre) / (spread + epsilon));
  });
});
