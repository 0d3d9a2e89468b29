/** Janus: one class for the mini model and for published checkpoints of Janus and Janus-Pro. */
export {
  imageCodes,
  JANUS_PRO_1B,
  type JanusConfig,
  JanusConfigError,
  type JanusTokens,
  type JanusVisionConfig,
  type JanusVqConfig,
  visionTokens,
} from './config';
export { JanusImageTokenizer } from './image-tokenizer';
export { generationIds, type JanusPrompt, unconditionalIds, understandingIds } from './layout';
export { JanusModel } from './model';
export { JanusLayers, JanusNetwork } from './network';
export { type ImageLogProbs, type JanusTransition } from './policy';
export type { LoadOptions, SaveOptions } from './pretrained';
