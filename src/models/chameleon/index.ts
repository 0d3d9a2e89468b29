/** Chameleon and Lumina-mGPT: one class for the mini model and for real checkpoints. */
export type { LoadOptions, SaveOptions } from './checkpoint';
export {
  type ChameleonConfig,
  ChameleonConfigError,
  chameleonConfigFromUpstream,
  chameleonConfigToUpstream,
  defaultGrid,
  type ImageLayout,
} from './config';
export { answerQuestions, codesToImages, generateImages, imagesToCodes } from './generate';
export {
  fillPlaceholders,
  type Grid,
  type Part,
  partsOf,
  imageIds,
  ImageLayoutError,
  sequenceIds,
  trainingExample,
} from './layout';
export { chameleonMini } from './mini';
export { ChameleonModel } from './model';
export { type ChameleonPiece, ChameleonPolicy, replayPieces, sequencePieces } from './policy';
export { promptIds } from './prompt';
export { type SampledSequence, type ImageLogProbs, sampleSequences, type SequenceOptions } from './sampler';
export { type ChameleonVocabulary, chameleonVocabulary } from './vocabulary';
