/** What Sync-GRPO rewards (UniCTokens-R1, Sec. 3.3): the parts of one subject's reward, whoever computes them. */
import type { Reward } from './reward';
import type { TierTruth } from './tier';

/** R's parts (Sec. 3.3), each with the scorer that it is computed by in its name. FER is of people alone. */
export interface SubjectRewards {
  readonly tier: Reward<TierTruth>;
  readonly ber: Reward;
  readonly der: Reward;
  readonly fer?: Reward;
}
