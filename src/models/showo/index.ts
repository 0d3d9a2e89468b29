/** Show-o: one class for the mini model and for real checkpoints. */
export { SHOWO_1B, type ShowoConfig, showoConfigFromUpstream, showoVocabulary, type ShowoVocabulary } from './config';
export { MAGVITV2_CONFIG, type MagvitConfig, MagvitTokenizer } from './image-tokenizer';
export { conditionTokens, textPrefix, textToImageExample, textToImageIds, understandingPrefix } from './layout';
export { textToImageMask, understandingMask } from './masks';
export { maskCount, maskRatio, type MaskSchedule, remask, type TemperatureMode } from './maskgit';
export { ShowoModel } from './model';
export { ShowoNetwork } from './network';
export type { ImageTransition, ShowoTransition, TextTransition } from './policy';
export { type ShowoImageOptions, ShowoImageSampler } from './sampler';
