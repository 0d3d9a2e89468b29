import { mean } from '../statistics';
import { advantages } from './registry';

/** `dr_grpo`: r - mean of the group, not divided (Dr.GRPO; UniCTask-GRPO and Sync-GRPO use it). */
export const drGrpo = advantages.register('dr_grpo', (groups) =>
  groups.map((rewards) => {
    const centre = mean(rewards);
    return rewards.map((r) => r - centre);
  }),
);
