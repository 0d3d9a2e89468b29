/** Rewards: one a file, all on the same sample; `defineReward` makes another. */
export { columnsOf, RewardBatch, type Sampled, scoreTrajectories, type WeightedReward, weightedSum } from './batch';
export { berReward } from './ber';
export { captionSimilarity, type Captioner } from './caption-similarity';
export { clipImageSimilarity, type ClipImageOptions } from './clip-i';
export { clipTextSimilarity, type ClipTextOptions } from './clip-t';
export {
  type AccuracyOptions,
  answerAccuracy,
  answerFormat,
  answerReward,
  type AnswerTruth,
  equalAnswers,
  type FormatOptions,
  formatReward,
} from './corl';
export { dinoName, dinoSimilarity, type DinoSimilarityOptions } from './dino-similarity';
export { cycleReward, type ImageDistance } from './cycle';
export { derReward, type PatchEmbedder, patchSimilarity } from './der';
export { dreamSimName, dreamSimSimilarity, type DreamSimSimilarityOptions } from './dreamsim';
export { type FaceEmbedder, type FaceFinder, ferReward, type FerOptions } from './fer';
export type { Feature } from './feature-cosine';
export { type LoadedRewards, paperRewards } from './from-folders';
export { type ImageEmbedder, referenceCosine } from './image-features';
export type { ImageTextScorer } from './image-text';
export { imageTextMatch } from './image-text-match';
export { modelCaptioner, type ModelCaptionerOptions } from './model-captioner';
export { loadDreamSim, type MmR1Rewards, mmR1RewardsFrom } from './mm-r1-folder';
export { pickScore, type PickScoreOptions } from './pick-score';
export { defineReward, type LazyImage, type Reward, type RewardSample, type Score } from './reward';
export { sequenceForm, sequenceFormat, XCOT_FORMAT } from './sequence-format';
export { scoreImages, type SeenSample, withPerSampleFallback } from './seen';
export { type CaptionTuples, captionTuples, spiceLike } from './spice-like';
export type { SubjectRewards } from './subject';
export { type SentenceEmbedder, tier, type TierOptions, tierReward, type TierTruth } from './tier';
export {
  modelRepresenter,
  timReward,
  type TokenMatch,
  tokenMatch,
  type TokenPair,
  type TokenRepresenter,
  type TokenVectors,
} from './tim';
