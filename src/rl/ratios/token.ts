import { ratios } from './registry';

/** `token`: a ratio for every token (PPO, GRPO). */
export const token = ratios.register('token', (difference) => difference);
