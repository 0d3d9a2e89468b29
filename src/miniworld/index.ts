/** The mini world: scenes, people, concepts, captions, questions, facts, and images of them; small enough for two CPU cores. */
export * from './world';
export * from './people';
export * from './scene';
export { captionOf, describeItem, plural, shortName, withArticle } from './captions';
export {
  namingQuestions,
  presenceQuestions,
  questionsOf,
  QUESTION_TYPES,
  type Question,
  type QuestionType,
} from './questions';
export {
  factExample,
  factProblem,
  factQuestions,
  factSolution,
  factText,
  factsText,
  type Fact,
  type FactExample,
} from './facts';
export { loadSprites, SpriteSheet, spriteKey, type Sprite } from './sprites';
export { renderScene } from './render';
export { addRecoloredSubjects, recoloredStyle } from './recolored-subjects';
export {
  addColorAugmentation,
  withAugmentedColors,
  augmentedQuestions,
  AUGMENTED_COLORS,
  augmentedColorsOf,
  canAugmentColors,
  withoutColors,
} from './color-augmentation';
export { sceneExample, type SceneExample } from './examples';
export { vocabulary, tokenizerJson, SPECIAL_TOKENS } from './vocabulary';
export * from './concepts';
export * from './concept-images';
export * from './concept-examples';
export { contactSheet, hasFonts, type ContactSheet } from './preview';
export { writeConcepts } from './write-concepts';
export { writeScenes } from './write-scenes';
export { writeCharacterReferences, writeQuestionTables } from './write-sets';
export { CONCEPT_METRICS, type ConceptMetric } from './concept-evaluation';
export { ConceptTask } from './concept-task';
export { miniRewards } from './rewards';
export { openSyncGrpo, type OpenSyncGrpoOptions } from './sync-grpo';
export * as detector from './detector';
export * from './corl';
export { MiniCorlTask, type QuestionMix } from './corl-task';
export { evaluateMini, MINI_BENCHMARKS, type MiniBenchmark, type MiniEvaluationOptions } from './benchmarks';
export { choiceQuestion, THINK_FIRST, thinkThenAnswer, THINKING_WORDS, thoughtOf } from './thinking';
export { miniXcotRewards } from './rewards';
export { openMmR1, type OpenMmR1Options } from './mm-r1';
export { MiniXcotTask, XCOT_METRICS, type XcotTruth } from './xcot-task';
export * from './xcot-subjects';
