/** How Janus mini is trained: first the VQ tokenizer, then everything around it. Hyper-parameters stand here. */
import { loadSprites } from '../data';
import { Stream } from '../engine';
import { janusMini, startCodesFromCodebook } from '../models/janus/mini';
import { JanusModel } from '../models/janus/model';
import type { LoopOptions } from '../sft/loop';
import { janusTask, type JanusTrainingOptions } from '../sft/train-janus';
import { janusVqTask, type VqTrainingOptions } from '../sft/train-janus-vq';
import { miniText, PICTURE_SIZE, scenePictures, sceneSource } from './mini-world';

type Loop = Pick<LoopOptions, 'steps' | 'learningRate' | 'weightDecay' | 'seed'>;

/** Training of the VQ tokenizer: first without codes, then with unused ones restarted, at last with codes at rest. */
export const JANUS_VQ_RECIPE: Loop & Omit<VqTrainingOptions, 'size'> = {
  steps: 2400,
  learningRate: 2e-3,
  weightDecay: 0,
  seed: 1,
  batch: 16,
  plainUntil: 300,
  restartEvery: 50,
  restartUntil: 1600,
  probe: 96,
};

/** Training of the rest. */
export const JANUS_RECIPE: Loop & Omit<JanusTrainingOptions, 'size'> = {
  steps: 3600,
  learningRate: 1.5e-3,
  weightDecay: 0.01,
  seed: 1,
  pictures: 24,
  asked: 16,
  questions: 6,
  texts: 6,
  weights: { t2i: 1, mmu: 1, lm: 0.5 },
  conditionDrop: 0.1,
};

/** Janus mini with fresh weights on the mini world's vocabulary. @throws Error when the tokenizer has no padding token */
export function freshJanusMini(seed: number): JanusModel {
  const { text, bos, eos } = miniText();
  if (text.padId === undefined) throw new Error('the mini world tokenizer has no [PAD]');
  return JanusModel.random(
    janusMini(text.vocabularySize, { bos, eos, pad: text.padId }),
    new Stream(seed).fork('janus'),
  );
}

/** The VQ tokenizer's task with fresh weights. */
export async function janusVqTraining(seed = JANUS_VQ_RECIPE.seed) {
  const sprites = await loadSprites();
  const model = freshJanusMini(seed);
  const source = scenePictures(sprites, 'train');
  return { model, task: janusVqTask(model, source, { ...JANUS_VQ_RECIPE, size: PICTURE_SIZE }) };
}

/** The rest's task. @param model whose VQ tokenizer is trained; `fresh`: everything else starts now (default) */
export async function janusTraining(model: JanusModel, seed = JANUS_RECIPE.seed, fresh = true) {
  const sprites = await loadSprites();
  const { text } = miniText();
  if (fresh) startCodesFromCodebook(model, new Stream(seed).fork('codes'));
  const source = sceneSource(sprites, text, 'train');
  return { model, task: janusTask(model, source, { ...JANUS_RECIPE, size: PICTURE_SIZE }) };
}
