/** How Chameleon mini is trained: first the VQGAN, then the language model around it. Hyper-parameters stand here. */
import { addColorAugmentation, loadSprites, vocabulary } from '..';
import { Rng } from '../../engine';
import { chameleonMini, codeEntries, startCodesFromCodebook } from './chameleon-config';
import { ChameleonModel } from '../../models/chameleon/model';
import { ChameleonNetwork } from '../../models/chameleon/network';
import type { MagvitTokenizer } from '../../models/showo/image-tokenizer';
import type { LoopOptions } from '../../sft/loop';
import { SharedRowParameters } from '../../sft/shared-rows';
import { chameleonTask, type ChameleonTrainingOptions, vqganTask, type VqganTrainingOptions } from './chameleon-task';
import { miniText, NAMES_MIXTURE, IMAGE_SIZE, sceneImages, type SceneMixture, sceneSource } from './mini-world';
import { vqFromMagvit } from './vq-from-magvit';

type Loop = Pick<LoopOptions, 'steps' | 'scheduleSteps' | 'learningRate' | 'weightDecay' | 'seed'>;

/** Hyper-parameters of a part of the language model's training. */
export type ChameleonRecipe = Loop & Omit<ChameleonTrainingOptions, 'size'> & { readonly scenes?: SceneMixture };

/** Training of the VQGAN, which starts from Show-o mini's trained tokenizer: little is left to be learned. */
export const CHAMELEON_VQ_RECIPE: Loop & Omit<VqganTrainingOptions, 'size'> = {
  steps: 40,
  learningRate: 5e-4,
  weightDecay: 0,
  seed: 1,
  batch: 16,
  refreshUntil: -1,
};

/** Training of the language model. */
export const CHAMELEON_RECIPE: ChameleonRecipe = {
  steps: 1000,
  learningRate: 1.5e-3,
  weightDecay: 0.01,
  seed: 1,
  images: 16,
  asked: 10,
  questions: 6,
  texts: 4,
  weights: { t2i: 1, mmu: 1, lm: 0.5, xcot: 1 },
  cfgDropout: 0.1,
  answerCorruption: 0.1,
  questionNoise: 0.05,
  codeBitFlip: 0.05,
};

/** Further training from the weights that are there, for what it knows least: the names of things. */
export const CHAMELEON_MORE_RECIPE: ChameleonRecipe = {
  ...CHAMELEON_RECIPE,
  steps: 1600,
  seed: 2,
  images: 24,
  asked: 8,
  texts: 6,
  weights: { t2i: 1, mmu: 1, lm: 1, xcot: 1 },
  answerCorruption: 0.25,
  questionNoise: 0.1,
  codeBitFlip: 0.1,
  scenes: NAMES_MIXTURE,
};

/** Tables with a row for every code, on the way in and on the way out. */
const CODE_ROWS = ['model.embed_tokens.weight', 'lm_head.weight'];

/** Chameleon mini with fresh weights on the mini world's vocabulary. @throws Error when the tokenizer lacks a special token */
export function freshChameleonMini(seed: number): ChameleonModel {
  const { text, bos, eos } = miniText();
  const separator = text.idOf('[SEP]');
  if (text.padId === undefined || separator === undefined)
    throw new Error('the mini world tokenizer has no [PAD] or no [SEP]');
  const config = chameleonMini(vocabulary(), { bos, eos, pad: text.padId, separator });
  return ChameleonModel.random(config, undefined, text, new Rng(seed).split('chameleon'));
}

/** The VQGAN's task. @param imageTokenizer Show-o mini's tokenizer, from whose weights it starts */
export async function chameleonVqTraining(imageTokenizer: MagvitTokenizer, seed = CHAMELEON_VQ_RECIPE.seed) {
  const sprites = await loadSprites();
  const model = freshChameleonMini(seed);
  const tokenizer = model.imageTokenizer.vqgan;
  vqFromMagvit(tokenizer.parameters, '', model.config.vq, imageTokenizer);
  const source = sceneImages(sprites, 'train');
  return { model, task: vqganTask(tokenizer, source, { ...CHAMELEON_VQ_RECIPE, size: IMAGE_SIZE }) };
}

/** The language model's task, with fresh weights. @param trained whose image tokenizer is trained; it moves over */
export async function chameleonTraining(trained: ChameleonModel, seed = CHAMELEON_RECIPE.seed) {
  const fresh = freshChameleonMini(seed);
  fresh.imageTokenizer.dispose();
  trained.network.parameters.dispose();
  const model = new ChameleonModel(fresh.network, trained.imageTokenizer, fresh.tokenizer);
  startCodesFromCodebook(model, new Rng(seed).split('codes'));
  return chameleonMoreTraining(model, CHAMELEON_RECIPE);
}

/**
 * The language model's task, going on from the weights that are there. Save the model that comes back: its rows of codes
 * share what they have in common.
 */
export async function chameleonMoreTraining(trained: ChameleonModel, recipe: ChameleonRecipe) {
  const sprites = await loadSprites();
  if (recipe.scenes?.colorAugmentation) await addColorAugmentation(sprites);
  const { text } = miniText();
  const parameters = new SharedRowParameters(trained.network.parameters, CODE_ROWS, codeEntries(trained));
  const network = new ChameleonNetwork(trained.config, parameters);
  const model = new ChameleonModel(network, trained.imageTokenizer, text);
  const source = sceneSource(sprites, text, 'train', recipe.scenes);
  return { model, task: chameleonTask(model, source, { ...recipe, size: IMAGE_SIZE }) };
}
