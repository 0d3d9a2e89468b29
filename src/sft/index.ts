/** Supervised stages. */
export {
  conceptShape,
  type ConceptReference,
  type ConceptReport,
  type ConceptStage,
  type ConceptStageOptions,
  conceptSteps,
  learnConceptTokens,
} from './concept-tokens';
export { drawnTask, type DrawnTaskOptions, type Learner } from './drawn-task';
export { type LoopOptions, type StepReport, type SupervisedTask, trainSupervised } from './loop';
