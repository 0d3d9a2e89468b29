export { type Selection, type SelectOptions, maxCandidates, selectCandidates } from './select';
export {
  type ThresholdOptions,
  type ThresholdState,
  type ThresholdStep,
  type ThresholdVersion,
  initialThreshold,
  nextThreshold,
} from './threshold';
