/** The mini world: scenes, captions, questions, facts, concepts, and the files they are kept in. */
export * from './world';
export * from './people';
export * from './scene';
export { captionOf, describeItem, plural, shortName, withArticle } from './captions';
export { presenceQuestions, questionsOf, QUESTION_TYPES, type Question, type QuestionType } from './questions';
export { factExample, factProblem, factQuestions, factSolution, factText, factsText, type Fact, type FactExample } from './facts';
export { loadSprites, SpriteSheet, spriteKey, type Sprite } from './sprites';
export { renderScene } from './render';
export { sceneExample, type SceneExample } from './examples';
export { vocabulary, tokenizerJson, SPECIAL_TOKENS } from './vocabulary';
export * from './concepts';
export * from './concept-pictures';
export * from './concept-examples';
export { ConceptFileError, CONDITION_KEYS } from './concept-schema';
export type { ConceptConditions, ConceptConversations, ConceptInfo, ConceptTestItem } from './concept-schema';
export { listConcepts, readConcept, writeConcepts, type ConceptFiles } from './concept-files';
export { readCorl, writeScenes, type CorlRecord } from './corl';
export { contactSheet, hasFonts, type ContactSheet } from './preview';
