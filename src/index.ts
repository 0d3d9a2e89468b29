/**
 * UniLab: what notebooks and scripts import. The names on top are those of nearly every notebook; everything else stands
 * in its room, one namespace each.
 */
export * as data from './data';
export * as displays from './display';
export * as engine from './engine';
export * as evaluation from './eval';
export * as io from './io';
export * as miniworld from './miniworld';
export * as models from './models';
export * as nn from './nn';
export * as recipes from './recipes';
export * as rewards from './rewards';
export * as rl from './rl';
export * as scorers from './models/scorers';
export * as sft from './sft';
export * as text from './text';

export { Rng, startEngine, tf } from './engine';
export { dataFolder, readImage, savePng } from './io';
export { drawingSteps } from './models/drawing-steps';
export { answerQuestions, generateImages } from './models/generate';
export { loadModel } from './models/load';
export { ChameleonModel } from './models/chameleon';
export { JanusModel } from './models/janus';
export { ShowoModel } from './models/showo';
export { defineReward } from './rewards';
export { loadTokenizer } from './text';
export {
  AnyWidget,
  clearOutput,
  display,
  imageGrid,
  livePlot,
  markdownView,
  progress,
  rewardPlot,
  samplerPlayground,
  slider,
  tableView,
  tensorView,
  textField,
  traceView,
  updateDisplay,
  vegaPlot,
} from './display';

export type { VegaLiteSpec } from './display';
export type { Image } from './io';
export type { ImageSegment, Policy, TextSegment, Trajectory, Transition, UnifiedModel } from './models/unified';
export type { Reward, RewardSample, Score } from './rewards';
