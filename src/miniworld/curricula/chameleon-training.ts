/** How the stages of Chameleon mini's curriculum are trained, and what each starts from. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { addColorAugmentation } from '../color-augmentation';
import { addPaintedSubjects } from '../painted-subjects';
import { loadSprites } from '../sprites';
import { vocabulary } from '../vocabulary';
import { IMAGE_SIZE } from '../world';
import { addXcotSubjects, subjectImages } from '../xcot-subjects';
import { Rng } from '../../engine';
import { dataFolder } from '../../io/package-root';
import { ChameleonModel } from '../../models/chameleon/model';
import type { MagvitTokenizer } from '../../models/showo/image-tokenizer';
import { SumWeight } from '../../nn/weights';
import { chameleonMini, codeEntries, startCodesFromCodebook } from './chameleon-config';
import { CHAMELEON_IMAGE_STAGES, CHAMELEON_STAGES, type VqganStage } from './chameleon-curriculum';
import { chameleonTask, vqganTask } from './chameleon-task';
import { miniText, sceneImages, sceneSource } from './scenes';
import { trainedTokenizer } from './showo-tokenizer';
import { type PreparedStage, type Stage, taskOptions } from './stage';
import { vqFromMagvit } from './vq-from-magvit';

export const CHAMELEON_FOLDER = 'chameleon-mini';

type ImageStageName = keyof typeof CHAMELEON_IMAGE_STAGES;
type ChameleonStageName = keyof typeof CHAMELEON_STAGES;

export const CHAMELEON_TRAINING: Readonly<Record<ImageStageName | ChameleonStageName, Stage>> = {
  'chameleon-tokenizer': {
    settings: CHAMELEON_IMAGE_STAGES['chameleon-tokenizer'],
    folder: CHAMELEON_FOLDER,
    prepare: async (seed) => tokenizerTraining(await trainedTokenizer(), seed),
  },
  'chameleon-decoder': decoderStage('chameleon-decoder'),
  'chameleon-language': {
    settings: CHAMELEON_STAGES['chameleon-language'],
    folder: CHAMELEON_FOLDER,
    prepare: async (seed) => languageTraining('chameleon-language', withFreshLanguage(await trainedChameleon(), seed)),
  },
  'chameleon-object-names': furtherStage('chameleon-object-names'),
  'chameleon-orthogonal': furtherStage('chameleon-orthogonal'),
  'chameleon-wrong-codes': furtherStage('chameleon-wrong-codes'),
  'chameleon-drawing': furtherStage('chameleon-drawing'),
  'chameleon-composing': furtherStage('chameleon-composing'),
  'chameleon-seeing': furtherStage('chameleon-seeing'),
};

/** A stage that goes on from the weights that are there. */
function furtherStage(name: ChameleonStageName): Stage {
  return {
    settings: CHAMELEON_STAGES[name],
    folder: CHAMELEON_FOLDER,
    prepare: async () => languageTraining(name, await trainedChameleon()),
  };
}

/** A stage of the decoder of the weights that are there: codes, and with them the language model, stay what they are. */
function decoderStage(name: ImageStageName): Stage {
  const settings: VqganStage = CHAMELEON_IMAGE_STAGES[name];
  return {
    settings,
    folder: CHAMELEON_FOLDER,
    async prepare() {
      const model = await trainedChameleon();
      const sprites = await loadSprites();
      await addXcotSubjects(sprites);
      const [scenes, subjects] = [sceneImages(sprites, 'train'), subjectImages(sprites)];
      const source = (rng: Rng) => (rng.uniform() < (settings.subjects ?? 0) ? subjects(rng) : scenes(rng));
      const task = vqganTask(model.imageTokenizer, source, { ...settings, size: IMAGE_SIZE });
      return { task: { ...task, name }, save: saveBf16(model) };
    },
  };
}

const saveBf16 = (model: ChameleonModel) => (folder: string) => model.savePretrained(folder, { dtype: 'BF16' });

/** @param imageTokenizer Show-o mini's, from whose weights the VQGAN starts */
async function tokenizerTraining(imageTokenizer: MagvitTokenizer, seed: number): Promise<PreparedStage> {
  const model = freshChameleonMini(seed);
  const tokenizer = model.imageTokenizer;
  vqFromMagvit({ variables: tokenizer.vqgan.variables() }, '', model.config.vq, imageTokenizer);
  const { batch, refreshUntil } = CHAMELEON_IMAGE_STAGES['chameleon-tokenizer'];
  const source = sceneImages(await loadSprites(), 'train');
  const task = vqganTask(tokenizer, source, { batch, refreshUntil, size: IMAGE_SIZE });
  return { task: { ...task, name: 'chameleon-tokenizer' }, save: saveBf16(model) };
}

/** Tables with a row for every code, on the way in and on the way out. */
const CODE_ROWS = ['model.embed_tokens.weight', 'lm_head.weight'];

/** Trains with rows of codes that share what they have in common; what is saved are plain rows. */
async function languageTraining(name: ChameleonStageName, trained: ChameleonModel): Promise<PreparedStage> {
  const stage = CHAMELEON_STAGES[name];
  const sprites = await loadSprites();
  if ('colorAugmentation' in stage.scenes) await addColorAugmentation(sprites);
  if ('paintedSubjects' in stage.scenes) await addPaintedSubjects(sprites);
  const { text } = miniText();
  const { config, layers, imageTokenizer } = trained;
  const store = trained.store.wrapping(CODE_ROWS, (table) => SumWeight.sharedRows(table, codeEntries(trained)));
  const model = new ChameleonModel({ config, layers: layers.with(store), store, imageTokenizer, tokenizer: text });
  const source = sceneSource(sprites, text, 'train', stage.scenes);
  const task = chameleonTask(model, source, { ...taskOptions(stage), weights: stage.weights });
  return { task: { ...task, name }, save: saveBf16(model) };
}

/** Chameleon mini with fresh weights on the mini world's vocabulary. @throws Error when the tokenizer lacks a special token */
export function freshChameleonMini(seed: number): ChameleonModel {
  const { text, bos, eos } = miniText();
  const separator = text.idOf('[SEP]');
  if (text.padId === undefined || separator === undefined)
    throw new Error('the mini world tokenizer has no [PAD] or no [SEP]');
  const config = chameleonMini(vocabulary(), { bos, eos, pad: text.padId, separator });
  return ChameleonModel.random(config, undefined, text, new Rng(seed).split('chameleon'));
}

/** Fresh weights around a trained image tokenizer, which moves over. */
function withFreshLanguage(trained: ChameleonModel, seed: number): ChameleonModel {
  const fresh = freshChameleonMini(seed);
  fresh.imageTokenizer.dispose();
  trained.store.dispose();
  const { config, layers, store } = fresh;
  const model = new ChameleonModel({ config, layers, store, imageTokenizer: trained.imageTokenizer });
  startCodesFromCodebook(model, new Rng(seed).split('codes'));
  return model;
}

/** @throws Error naming the stage that makes it when it is not there */
async function trainedChameleon(): Promise<ChameleonModel> {
  const folder = dataFolder('checkpoints', CHAMELEON_FOLDER);
  if (!existsSync(path.join(folder, 'config.json')))
    throw new Error(
      `there is no Chameleon with a trained VQGAN in ${folder}; first run: unilab train chameleon-tokenizer`,
    );
  return ChameleonModel.fromPretrained(folder);
}
