export {
  type AdvantageOptions,
  combinedAdvantages,
  type CombineOptions,
  type GroupAdvantages,
  groupAdvantages,
  type MaybeReward,
  type RewardColumn,
  scaleRewardsOption,
  weightedSums,
} from './advantages';
export {
  dsogMetrics,
  type DsogReport,
  type EarlyScore,
  dsogShape,
  selectEarly,
  initialThreshold,
  maxCandidates,
  nextThreshold,
  selectCandidates,
  type Selection,
  type SelectOptions,
  thresholdShape,
  type ThresholdOptions,
  type ThresholdState,
  type ThresholdStep,
  type ThresholdVersion,
} from './dsog';
export {
  aggregations,
  importanceSamplingLevels,
  klEstimates,
  PendingGradients,
  policyLoss,
  type PolicyBatch,
  type PolicyLoss,
  type PolicyLossOptions,
  surrogates,
} from './losses';
export { checkSpread, completionMetrics, type FlatGroups, rewardMetrics, StepRefusedError } from './metrics';
export {
  policyLossShape,
  resolveTrainStep,
  selfChecksShape,
  type TrainStepInput,
  type TrainStepOptions,
  trainStepShape,
} from './options';
export type { Advantages } from './rows';
export { synchronizeReference, trainStep, type TrainStepMore } from './train-step';
