/** UniLab: everything that notebooks and scripts import. */
export * from './data';
export * from './miniworld';
export * from './display';
export * from './engine';
export * from './eval';
export * from './miniworld/detector';
export * from './io';
/** Rollout, layouts and options of Chameleon and Janus under names of their own: Show-o's have the plain ones. */
export * as chameleon from './models/chameleon';
export { ChameleonModel } from './models/chameleon';
export * from './models/scorers';
export * as janus from './models/janus';
export { JanusModel } from './models/janus';
export { generateImages, answerQuestions } from './models/generate';
export { loadModel } from './models/load';
export * from './models/showo';
export * from './nn';
export * from './recipes';
export * from './rewards';
export * from './rl';
export * from './sft';
export * from './text';
