/** How the stages of Janus mini's curriculum are trained, and what each starts from. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { addColorAugmentation } from '../color-augmentation';
import { addPaintedSubjects } from '../painted-subjects';
import { loadSprites } from '../sprites';
import { addTones } from '../tones';
import { IMAGE_SIZE } from '../world';
import { Rng } from '../../engine';
import { dataFolder } from '../../io/package-root';
import { vqganConfig } from '../../models/janus/config';
import { isTokenizerParameter, VQ } from '../../models/janus/image-tokenizer';
import { JanusModel } from '../../models/janus/model';
import { JanusNetwork } from '../../models/janus/network';
import type { MagvitTokenizer } from '../../models/showo/image-tokenizer';
import { SumWeight } from '../../nn/weights';
import { codeEntries, startCodesFromCodebook } from './janus-code-rows';
import { janusMini } from './janus-config';
import { JANUS_IMAGE_STAGES, JANUS_STAGES, type JanusStage, type VisionStage } from './janus-curriculum';
import { patchSource, PATCH_CLASSES } from './janus-patches';
import { janusTask } from './janus-task';
import { janusTokenizerTask } from './janus-tokenizer-task';
import { isTower, janusVisionTask } from './janus-vision-task';
import { miniText, sceneImages, sceneSource } from './scenes';
import { trainedTokenizer } from './showo-tokenizer';
import { type PreparedStage, type Stage, taskOptions } from './stage';
import { vqFromMagvit } from './vq-from-magvit';

export const JANUS_FOLDER = 'janus-mini';

type ImageStageName = keyof typeof JANUS_IMAGE_STAGES;
type JanusStageName = keyof typeof JANUS_STAGES;

export const JANUS_TRAINING: Readonly<Record<ImageStageName | JanusStageName, Stage>> = {
  'janus-tokenizer': {
    settings: JANUS_IMAGE_STAGES['janus-tokenizer'],
    folder: JANUS_FOLDER,
    prepare: async (seed) => tokenizerTraining(await trainedTokenizer(), seed),
  },
  'janus-vision': visionStage('janus-vision'),
  'janus-language': {
    settings: JANUS_STAGES['janus-language'],
    folder: JANUS_FOLDER,
    prepare: async (seed) => languageTraining('janus-language', withFreshLanguage(await trainedJanus(), seed)),
  },
  'janus-presence': furtherStage('janus-presence'),
  'janus-presence-again': furtherStage('janus-presence-again'),
  'janus-vision-again': visionStage('janus-vision-again'),
  'janus-color-augmentation': furtherStage('janus-color-augmentation'),
  'janus-object-names': furtherStage('janus-object-names'),
  'janus-vision-colors': visionStage('janus-vision-colors'),
  'janus-noisy-answers': furtherStage('janus-noisy-answers'),
  'janus-orthogonal': furtherStage('janus-orthogonal'),
  'janus-vision-tones': visionStage('janus-vision-tones'),
  'janus-vision-hues': visionStage('janus-vision-hues'),
  'janus-drawing': furtherStage('janus-drawing'),
  'janus-answers': furtherStage('janus-answers'),
  'janus-looking': furtherStage('janus-looking'),
  'janus-any-name': furtherStage('janus-any-name'),
  'janus-seeing': furtherStage('janus-seeing'),
  'janus-keeping': furtherStage('janus-keeping'),
  'janus-telling': furtherStage('janus-telling'),
  'janus-comparing': furtherStage('janus-comparing'),
};

/** A stage of the vision tower of the weights that are there; the rest stays as it is. */
function visionStage(name: ImageStageName): Stage {
  const settings: VisionStage = JANUS_IMAGE_STAGES[name];
  return {
    settings,
    folder: JANUS_FOLDER,
    async prepare() {
      const model = await trainedJanus();
      const sprites = await loadSprites();
      if (settings.colorAugmentation) await addColorAugmentation(sprites);
      if (settings.tones) await addTones(sprites);
      if (settings.paintedSubjects) await addPaintedSubjects(sprites);
      const source = patchSource(sprites, model.config.vision.patch_size, 'train', settings);
      const options = { batch: settings.batch, size: IMAGE_SIZE, classes: PATCH_CLASSES, hue: settings.hue };
      const task = janusVisionTask(model.network, source, options);
      return { task: { ...task, name }, save: (folder) => model.savePretrained(folder) };
    },
  };
}

/** A stage that goes on from the weights that are there. */
function furtherStage(name: JanusStageName): Stage {
  return {
    settings: JANUS_STAGES[name],
    folder: JANUS_FOLDER,
    prepare: async () => languageTraining(name, await trainedJanus()),
  };
}

/** @param imageTokenizer Show-o mini's, from whose weights the VQ tokenizer starts */
async function tokenizerTraining(imageTokenizer: MagvitTokenizer, seed: number): Promise<PreparedStage> {
  const model = freshJanusMini(seed);
  vqFromMagvit(model.network.store, VQ, vqganConfig(model.config.vq), imageTokenizer);
  const source = sceneImages(await loadSprites(), 'train');
  const { batch } = JANUS_IMAGE_STAGES['janus-tokenizer'];
  const task = janusTokenizerTask(model.network, source, { batch, size: IMAGE_SIZE });
  return { task: { ...task, name: 'janus-tokenizer' }, save: (folder) => model.savePretrained(folder) };
}

/** Trains with output rows of codes that share what they have in common; what is saved are plain rows. */
async function languageTraining(name: JanusStageName, trained: JanusModel): Promise<PreparedStage> {
  const stage: JanusStage = JANUS_STAGES[name];
  const sprites = await loadSprites();
  if (stage.scenes.colorAugmentation) await addColorAugmentation(sprites);
  if (stage.scenes.paintedSubjects) await addPaintedSubjects(sprites);
  if (stage.scenes.tones) await addTones(sprites);
  const { config, store } = trained.network;
  const entries = codeEntries(trained.network);
  const shared = store.wrapping([CODE_ROWS], (table) => SumWeight.sharedRows(table, entries));
  const model = new JanusModel(new JanusNetwork(config, shared), trained.tokenizer);
  const source = sceneSource(sprites, trained.tokenizer, 'train', stage.scenes);
  const task = janusTask(model.network, source, { ...taskOptions(stage), frozenTower: stage.frozenTower });
  return { task: { ...task, name }, save: (folder) => model.savePretrained(folder) };
}

/** Where the output rows of codes stand. */
const CODE_ROWS = 'model.generation_head.vision_head.weight';

/** Janus mini with fresh weights on the mini world's vocabulary. @throws Error when the tokenizer has no padding token */
export function freshJanusMini(seed: number): JanusModel {
  const { text, bos, eos } = miniText();
  if (text.padId === undefined) throw new Error('the mini world tokenizer has no [PAD]');
  const config = janusMini(text.vocabularySize, { bos, eos, pad: text.padId });
  return JanusModel.random(config, text, new Rng(seed).split('janus'));
}

/** Fresh weights around the trained VQ tokenizer and vision tower of another model, which is disposed. */
function withFreshLanguage(trained: JanusModel, seed: number): JanusModel {
  const model = freshJanusMini(seed);
  for (const [name, variable] of Object.entries(model.network.store.variables))
    if (isTokenizerParameter(name) || isTower(name)) variable.assign(trained.network.store.get(name));
  trained.dispose();
  startCodesFromCodebook(model.network, new Rng(seed).split('codes'));
  return model;
}

/** @throws Error naming the stage that makes it when it is not there */
async function trainedJanus(): Promise<JanusModel> {
  const folder = dataFolder('checkpoints', JANUS_FOLDER);
  if (!existsSync(path.join(folder, 'config.json')))
    throw new Error(`there is no Janus with a trained tokenizer in ${folder}; first run: unilab train janus-tokenizer`);
  return JanusModel.fromPretrained(folder);
}
