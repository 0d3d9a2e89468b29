/** UniCTokens-R1 (= Sync-R1): personalized understanding and generation by Sync-GRPO with early selection. */
export {
  compareHeldOut,
  evaluateConcept,
  HELD_OUT_METRICS,
  type HeldOutMetric,
  type HeldOutResult,
  heldOutExamples,
} from './evaluate';
export { ExampleSource, inClassWords, type SyncExample, tiaExample, viaExample } from './examples';
export {
  type DsogOptions,
  rewardWeights,
  type RewardWeights,
  SYNC_R1_MINI,
  SYNC_R1_PAPER,
  type SyncR1Options,
} from './options';
export { type ConceptJudges, conceptJudges, type JudgeModels, type RewardRow } from './rewards';
export { type DsogReport, type EarlyJudge, type Rollout, type RolloutContext, type SyncSample } from './rollout';
export { decodeImages } from './pictures';
export { type ShownSample, SyncR1, type SyncR1Setup, type SyncStep } from './session';
export { HEADLINE_METRIC, SyncLab, type SyncLabOptions, type SyncResult } from './lab';
export { saveSyncRun } from './save-run';
