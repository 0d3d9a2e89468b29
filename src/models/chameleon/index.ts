/** Chameleon and Lumina-mGPT: one class for the mini model and for real checkpoints. */
export {
  type ChameleonConfig,
  ChameleonConfigError,
  chameleonConfigFromUpstream,
  chameleonConfigToUpstream,
  defaultGrid,
  type ImageLayout,
  type PromptFormat,
} from './config';
export { ChameleonImageTokenizer } from './image-tokenizer';
export {
  fillPlaceholders,
  type Grid,
  imageIds,
  ImageLayoutError,
  type Part,
  partsOf,
  promptIds,
  sequenceIds,
  trainingExample,
} from './layout';
export { ChameleonModel, type ChameleonPrompt } from './model';
export { ChameleonNetwork } from './network';
export type { ChameleonTransition, ImageTransition, TextTransition } from './policy';
export type { LoadOptions, SaveOptions } from './pretrained';
export type { ChameleonSequenceOptions } from './sequence-batch';
export { type ChameleonVocabulary, chameleonVocabulary } from './vocabulary';
