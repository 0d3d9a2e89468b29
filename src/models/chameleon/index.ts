/** Chameleon and Lumina-mGPT: one class for the mini model and for real checkpoints. */
export type { LoadOptions as ChameleonLoadOptions, SaveOptions as ChameleonSaveOptions } from './checkpoint';
export {
  type ChameleonConfig,
  ChameleonConfigError,
  chameleonConfigFromUpstream,
  chameleonConfigToUpstream,
  defaultGrid,
  type PictureLayout,
} from './config';
export {
  fillPlaceholders,
  type Grid as CodeGrid,
  type Part as ChameleonPart,
  partsOf as chameleonParts,
  pictureIds as chameleonPictureIds,
  PictureLayoutError,
  sequenceIds as chameleonSequenceIds,
  trainingExample as chameleonExample,
} from './layout';
export { chameleonMini } from './mini';
export { ChameleonModel } from './model';
export {
  type ChameleonPiece,
  ChameleonPolicy,
  replayPieces as replayChameleonPieces,
  sequencePieces as chameleonPieces,
} from './policy';
export { promptIds as chameleonPromptIds } from './prompt';
export { type SampledSequence, sampleSequences, type SequenceOptions } from './sampler';
export { type ChameleonVocabulary, chameleonVocabulary } from './vocabulary';
