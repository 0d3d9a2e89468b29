/**
 * The fused operations in plain tf.js operations, under the same names: what engines without the kernels run, and what
 * tests compare with.
 */
export {
  geluErfPlain as geluErf,
  geluTanhPlain as geluTanh,
  siluPlain as silu,
  swigluPlain as swiglu,
} from './activations';
export { attentionPlain as attention } from './attention';
export { embeddingPlain as embedding } from './layers';
export {
  crossEntropyPlain as crossEntropy,
  logSoftmaxPlain as logSoftmax,
  tokenLogProbsPlain as tokenLogProbs,
} from './likelihood';
export { groupNormPlain as groupNorm, layerNormPlain as layerNorm, rmsNormPlain as rmsNorm } from './norms';
export { turnedPlain as turned } from './turns';
