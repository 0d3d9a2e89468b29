export { geluErf, geluErfPlain, geluTanh, geluTanhPlain, silu, siluPlain } from './activations';
export { AdamW, type AdamWOptions } from './adamw';
export { attention, attentionPlain } from './attention';
export { checkpoint, checkpointed, type CheckpointedInputs } from './checkpoint';
export { clipByGlobalNorm, globalNorm } from './clip';
export { embedding, embeddingPlain, linear, type LinearOptions } from './layers';
export {
  crossEntropy,
  type CrossEntropyOptions,
  crossEntropyPlain,
  logSoftmax,
  logSoftmaxPlain,
  tokenLogProbs,
  tokenLogProbsPlain,
} from './likelihood';
export { groupNorm, groupNormPlain, layerNorm, layerNormPlain, rmsNorm, rmsNormPlain } from './norms';
export { type Schedule, warmupConstant, warmupCosine, type WarmupCosineOptions } from './schedules';
