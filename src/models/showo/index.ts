/** Show-o: one class for the mini model and for real checkpoints. */
export { type Answer, type AnswerOptions, type AnswerPrefix, sampleAnswers } from './answers';
export { ConceptTokens, type ConceptTokenOptions } from './concept-tokens';
export { SHOWO_1B, type ShowoConfig, showoConfigFromUpstream, showoVocabulary, type ShowoVocabulary } from './config';
export { answerQuestions, codesToImages, generateImages, imagesToCodes } from './generate';
export { conditionTokens, textPrefix, textToImageExample, textToImageIds, understandingPrefix } from './layout';
export { MAGVITV2_CONFIG, type MagvitConfig, MagvitTokenizer } from './magvit';
export { maskCount, maskRatio, type MaskSchedule, remask, type TemperatureMode } from './maskgit';
export { textToImageMask, understandingMask } from './masks';
export { MAGVIT_MINI, showoMini } from './mini';
export { ShowoModel } from './model';
export { answerPiece, type ImageLogProbs, replayPieces, type ScoredPositions, transitionPieces } from './policy';
export { PromptTooLongError } from '../unified';
export { type Draws, ImageBatch, type ImageOptions, type Transition } from './sampler';
