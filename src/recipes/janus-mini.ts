/** How Janus mini is trained: first the VQ tokenizer, then everything around it. Hyper-parameters stand here. */
import { loadSprites } from '../data';
import { Stream } from '../engine';
import { vqganConfig } from '../models/janus/config';
import { VQ } from '../models/janus/generation';
import { codeEntries, janusMini, startCodesFromCodebook } from '../models/janus/mini';
import { JanusModel } from '../models/janus/model';
import type { MagvitTokenizer } from '../models/showo/magvit';
import type { LoopOptions } from '../sft/loop';
import { SharedRowParameters } from '../sft/shared-rows';
import { janusTask, type JanusTrainingOptions } from '../sft/train-janus';
import { isVq, janusVqTask, type VqTrainingOptions } from '../sft/train-janus-vq';
import {
  miniText,
  PICTURE_SIZE,
  scenePictures,
  type SceneMixture,
  sceneSource,
  SHOWO_FINISH_RECIPE,
} from './mini-world';
import { vqFromMagvit } from './vq-from-magvit';

type Loop = Pick<LoopOptions, 'steps' | 'scheduleSteps' | 'learningRate' | 'weightDecay' | 'seed'>;

/** Hyper-parameters of a part of the training around the tokenizer. */
export type JanusRecipe = Loop & Omit<JanusTrainingOptions, 'size'> & { readonly scenes?: SceneMixture };

/** Training of the VQ tokenizer, which starts from Show-o mini's trained one: little is left to be learned. */
export const JANUS_VQ_RECIPE: Loop & Omit<VqTrainingOptions, 'size'> = {
  steps: 40,
  learningRate: 5e-4,
  weightDecay: 0,
  seed: 1,
  batch: 16,
};

/** Training of the rest. */
export const JANUS_RECIPE: JanusRecipe = {
  steps: 1000,
  learningRate: 1.5e-3,
  weightDecay: 0.01,
  seed: 1,
  pictures: 16,
  asked: 10,
  questions: 6,
  texts: 4,
  weights: { t2i: 1, mmu: 1, lm: 0.5 },
  conditionDrop: 0.1,
  wordNoise: 0.1,
  questionNoise: 0.05,
};

/** Further training from the weights that are there, with twice as many creatures beside objects and more questions about presence. */
export const JANUS_MORE_RECIPE: JanusRecipe = {
  ...JANUS_RECIPE,
  steps: 800,
  learningRate: 1.2e-3,
  seed: 2,
  questions: 7,
  scenes: SHOWO_FINISH_RECIPE.scenes,
};

/** Where the output rows of codes stand. */
const CODE_ROWS = 'model.generation_head.vision_head.weight';

/** Janus mini with fresh weights on the mini world's vocabulary. @throws Error when the tokenizer has no padding token */
export function freshJanusMini(seed: number): JanusModel {
  const { text, bos, eos } = miniText();
  if (text.padId === undefined) throw new Error('the mini world tokenizer has no [PAD]');
  return JanusModel.random(
    janusMini(text.vocabularySize, { bos, eos, pad: text.padId }),
    new Stream(seed).fork('janus'),
  );
}

/** The VQ tokenizer's task. @param images Show-o mini's tokenizer, from whose weights it starts */
export async function janusVqTraining(images: MagvitTokenizer, seed = JANUS_VQ_RECIPE.seed) {
  const sprites = await loadSprites();
  const model = freshJanusMini(seed);
  vqFromMagvit(model.parameters, VQ, vqganConfig(model.config.vq), images);
  const source = scenePictures(sprites, 'train');
  return { model, task: janusVqTask(model, source, { ...JANUS_VQ_RECIPE, size: PICTURE_SIZE }) };
}

/** The rest's task, with fresh weights. @param trained whose VQ tokenizer is trained; it is disposed */
export async function janusTraining(trained: JanusModel, seed = JANUS_RECIPE.seed) {
  const model = freshJanusMini(seed);
  for (const [name, variable] of Object.entries(model.parameters.variables))
    if (isVq(name)) variable.assign(trained.parameters.get(name));
  trained.dispose();
  startCodesFromCodebook(model, new Stream(seed).fork('codes'));
  return janusMoreTraining(model, JANUS_RECIPE);
}

/**
 * The rest's task, going on from the weights that are there. Save the model that comes back: its output rows of codes
 * share what they have in common.
 */
export async function janusMoreTraining(trained: JanusModel, recipe: JanusRecipe) {
  const sprites = await loadSprites();
  const { text } = miniText();
  const parameters = new SharedRowParameters(trained.parameters, [CODE_ROWS], codeEntries(trained));
  const model = new JanusModel(trained.config, parameters);
  const source = sceneSource(sprites, text, 'train', recipe.scenes);
  return { model, task: janusTask(model, source, { ...recipe, size: PICTURE_SIZE }) };
}
