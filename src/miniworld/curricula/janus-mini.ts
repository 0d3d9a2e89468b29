/** How Janus mini is trained: first the VQ tokenizer, then everything around it. Hyper-parameters stand here. */
import {
  addColorAugmentation,
  COLORS,
  SUBJECTS,
  BACKGROUNDS,
  loadSprites,
  OBJECTS,
  renderScene,
  sampleScene,
  type Split,
  type SpriteSheet,
} from '..';
import { Rng } from '../../engine';
import { vqganConfig } from '../../models/janus/config';
import { isTokenizerParameter, VQ } from '../../models/janus/image-tokenizer';
import { JanusModel } from '../../models/janus/model';
import { JanusNetwork } from '../../models/janus/network';
import { isTower } from '../../models/janus/vision';
import type { MagvitTokenizer } from '../../models/showo/image-tokenizer';
import type { LoopOptions } from '../../sft/loop';
import { SharedRowParameters } from '../../sft/shared-rows';
import { codeEntries, startCodesFromCodebook } from './janus-code-rows';
import { janusMini } from './janus-config';
import { janusTask, type JanusTrainingOptions } from './janus-task';
import { janusTokenizerTask, type TokenizerTrainingOptions } from './janus-tokenizer-task';
import { janusVisionTask, type LabeledImage } from './janus-vision-task';
import {
  miniText,
  NAMES_MIXTURE,
  IMAGE_SIZE,
  sceneImages,
  type SceneMixture,
  sceneSource,
  SHOWO_SHADES_RECIPE,
} from './mini-world';
import { vqFromMagvit } from './vq-from-magvit';

type Loop = Pick<LoopOptions, 'steps' | 'scheduleSteps' | 'learningRate' | 'weightDecay' | 'seed'>;

/** Hyper-parameters of a part of the training around the tokenizer. */
export type JanusRecipe = Loop & Omit<JanusTrainingOptions, 'size'> & { readonly scenes?: SceneMixture };

/** Training of the VQ tokenizer, which starts from Show-o mini's trained one: little is left to be learned. */
export const JANUS_VQ_RECIPE: Loop & Omit<TokenizerTrainingOptions, 'size'> = {
  steps: 40,
  learningRate: 5e-4,
  weightDecay: 0,
  seed: 1,
  batch: 16,
};

/** First lessons of the vision tower. */
export const JANUS_VISION_RECIPE: Loop & { readonly batch: number } = {
  steps: 400,
  learningRate: 2e-3,
  weightDecay: 0.01,
  seed: 1,
  batch: 24,
};

/** More of them, when everything else has been trained for a while. */
export const JANUS_SIGHT_RECIPE: typeof JANUS_VISION_RECIPE = { ...JANUS_VISION_RECIPE, steps: 2500, seed: 2 };

/** Training of the rest. */
export const JANUS_RECIPE: JanusRecipe = {
  steps: 217,
  scheduleSteps: 1000,
  learningRate: 1.5e-3,
  weightDecay: 0.01,
  seed: 1,
  images: 16,
  asked: 10,
  questions: 6,
  texts: 4,
  weights: { t2i: 1, mmu: 1, lm: 0.5 },
  cfgDropout: 0.1,
  answerCorruption: 0.1,
  questionNoise: 0.05,
};

/** Further training from the weights that are there, with easier questions about presence, too. */
export const JANUS_MORE_RECIPE: JanusRecipe = {
  ...JANUS_RECIPE,
  steps: 200,
  scheduleSteps: 700,
  seed: 2,
  scenes: { presence: true },
};

/** The same again with another seed. */
export const JANUS_LAST_RECIPE: JanusRecipe = { ...JANUS_MORE_RECIPE, steps: 43, scheduleSteps: 180, seed: 3 };

/**
 * Further training with the tower that sees better: more questions an image, subjects beside objects, and a part of
 * the objects in shades without a name, which takes kinds apart from colors.
 */
export const JANUS_SHADES_RECIPE: JanusRecipe = {
  ...JANUS_RECIPE,
  steps: 2100,
  seed: 4,
  scheduleSteps: undefined,
  questions: 8,
  answerCorruption: 0.25,
  questionNoise: 0.1,
  scenes: { ...SHOWO_SHADES_RECIPE.scenes, colorAugmentation: 0.35 },
};

/** After that: names. */
export const JANUS_NAMES_RECIPE: JanusRecipe = {
  ...JANUS_SHADES_RECIPE,
  steps: 1800,
  seed: 5,
  images: 24,
  asked: 8,
  questions: 6,
  texts: 6,
  weights: { t2i: 1, mmu: 1, lm: 1 },
  scenes: NAMES_MIXTURE,
};

/** Where the output rows of codes stand. */
const CODE_ROWS = 'model.generation_head.vision_head.weight';

/** Janus mini with fresh weights on the mini world's vocabulary. @throws Error when the tokenizer has no padding token */
export function freshJanusMini(seed: number): JanusModel {
  const { text, bos, eos } = miniText();
  if (text.padId === undefined) throw new Error('the mini world tokenizer has no [PAD]');
  const config = janusMini(text.vocabularySize, { bos, eos, pad: text.padId });
  return JanusModel.random(config, text, new Rng(seed).split('janus'));
}

/** The VQ tokenizer's task. @param imageTokenizer Show-o mini's tokenizer, from whose weights it starts */
export async function janusVqTraining(imageTokenizer: MagvitTokenizer, seed = JANUS_VQ_RECIPE.seed) {
  const sprites = await loadSprites();
  const model = freshJanusMini(seed);
  vqFromMagvit(model.network.parameters, VQ, vqganConfig(model.config.vq), imageTokenizer);
  const source = sceneImages(sprites, 'train');
  return { model, task: janusTokenizerTask(model.network, source, { ...JANUS_VQ_RECIPE, size: IMAGE_SIZE }) };
}

const KINDS: readonly string[] = [...OBJECTS, ...SUBJECTS];
/** What a patch shows: what it is part of and in which color (0: the background, or none), and on which background. */
const PATCH_CLASSES = { kind: KINDS.length + 1, color: COLORS.length + 1, background: BACKGROUNDS.length };

/** A scene of a split with the labels of its patches. */
function patchSource(sprites: SpriteSheet, patch: number, split: Split): (rng: Rng) => LabeledImage {
  const side = IMAGE_SIZE / patch;
  return (rng) => {
    const scene = sampleScene(rng, split);
    const [kind, color] = [new Uint8Array(side * side), new Uint8Array(side * side)];
    for (const item of scene.items)
      for (let y = item.y / patch; y < (item.y + item.size) / patch; y++)
        for (let x = item.x / patch; x < (item.x + item.size) / patch; x++) {
          kind[y * side + x] = KINDS.indexOf(item.object) + 1;
          color[y * side + x] = item.color ? COLORS.indexOf(item.color) + 1 : 0;
        }
    const background = new Uint8Array(side * side).fill(BACKGROUNDS.indexOf(scene.background));
    return { pixels: renderScene(scene, sprites), labels: { kind, color, background } };
  };
}

/** The vision tower's task. @param trained whose tower is trained, the rest stays as it is @param batch images */
export async function janusVisionTraining(trained: JanusModel, batch: number) {
  const sprites = await loadSprites();
  const source = patchSource(sprites, trained.config.vision.patch_size, 'train');
  const task = janusVisionTask(trained.network, source, { batch, size: IMAGE_SIZE, classes: PATCH_CLASSES });
  return { model: trained, task };
}

/** The rest's task, with fresh weights. @param trained whose VQ tokenizer and vision tower are trained; it is disposed */
export async function janusTraining(trained: JanusModel, seed = JANUS_RECIPE.seed) {
  const model = freshJanusMini(seed);
  for (const [name, variable] of Object.entries(model.network.parameters.variables))
    if (isTokenizerParameter(name) || isTower(name)) variable.assign(trained.network.parameters.get(name));
  trained.dispose();
  startCodesFromCodebook(model.network, new Rng(seed).split('codes'));
  return janusMoreTraining(model, JANUS_RECIPE);
}

/**
 * The rest's task, going on from the weights that are there. Save the model that comes back: its output rows of codes
 * share what they have in common.
 */
export async function janusMoreTraining(trained: JanusModel, recipe: JanusRecipe) {
  const sprites = await loadSprites();
  if (recipe.scenes?.colorAugmentation) await addColorAugmentation(sprites);
  const { text } = miniText();
  const { config, parameters } = trained.network;
  const shared = new SharedRowParameters(parameters, [CODE_ROWS], codeEntries(trained.network));
  const model = new JanusModel(new JanusNetwork(config, shared), trained.tokenizer);
  const source = sceneSource(sprites, text, 'train', recipe.scenes);
  return { model, task: janusTask(model.network, source, { ...recipe, size: IMAGE_SIZE }) };
}
