/** Janus: one class for the mini model and for real checkpoints of Janus and Janus-Pro. */
export { type AnswerOptions, type JanusAnswer, type JanusPrefix, sampleAnswers } from './answers';
export { descriptionText, JANUS_SYSTEM, plainText, questionText, type QuestionText } from './chat';
export {
  JANUS_PRO_1B,
  type JanusConfig,
  JanusConfigError,
  type JanusTokens,
  type JanusVisionConfig,
  type JanusVqConfig,
  imageCodes,
  visionTokens,
} from './config';
export {
  answerQuestions,
  type CaptionFormat,
  codesToImages,
  generateImages,
  imagesToCodes,
  type QuestionFormat,
} from './generate';
export { generationIds, PromptTooLongError, textIds, unconditionalIds, understandingIds } from './layout';
export { JanusModel, janusSpecs, type LoadOptions, type SaveOptions } from './model';
export { type ImageOptions, type ImageSample, ImageBatch, type StepLogits } from './images';
export {
  type AnswerPiece,
  answerPiece,
  type ImageLogProbs,
  JanusPolicy,
  type JanusRequest,
  type JanusTrajectory,
  imageCodeLogits,
  type ImagePiece,
  imagePiece,
  replayPieces,
} from './policy';
