export { geluErf, geluTanh, silu, swiglu } from './activations';
export { AdamW, type AdamWOptions } from './adamw';
export { attention, swapHeads } from './attention';
export { begunAttention, hasBegunAttention } from './begun-attention';
export { cachedAttention, type KeysValues } from './cached-attention';
export { checkpoint, checkpointed, type CheckpointedInputs } from './checkpoint';
export { clipByGlobalNorm, globalNorm } from './clip';
export { DRAWN, drawRecorded, drawTokens, LEFT_OUT, mixtureOf } from './drawing';
export { embedding, linear, type LinearOptions } from './layers';
export {
  crossEntropy,
  type CrossEntropyOptions,
  logSoftmax,
  tokenEntropies,
  tokenLogProbs,
  type TokenReading,
} from './likelihood';
export { groupNorm, layerNorm, rmsNorm } from './norms';
export { Muon, type MuonOptions, orthogonalized } from './muon';
export {
  type AttendingSequences,
  hasProjectedAttention,
  projectedAttention,
  type ProjectedInputs,
} from './projected-attention';
export * as reference from './reference';
export { type Schedule, warmupConstant, warmupCosine, type WarmupCosineOptions } from './schedules';
export { turned, type TurnTables } from './turns';
