/** Chameleon and Lumina-mGPT: one class for the mini model and for real checkpoints. */
export type { LoadOptions, SaveOptions } from './checkpoint';
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
  type Grid,
  type Part,
  partsOf,
  pictureIds,
  PictureLayoutError,
  sequenceIds,
  trainingExample,
} from './layout';
export { ChameleonModel } from './model';
export { promptIds } from './prompt';
export { type ChameleonPiece, ChameleonPolicy, replayPieces, sequencePieces } from './policy';
export { type ImageLogProbs, type SampledSequence, sampleSequences, type SequenceOptions } from './sampler';
export { type ChameleonVocabulary, chameleonVocabulary } from './vocabulary';
