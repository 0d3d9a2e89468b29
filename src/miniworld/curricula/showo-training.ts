/** How the stages of Show-o mini's curriculum are trained, and what each starts from. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { addColorAugmentation } from '../color-augmentation';
import { loadSprites } from '../sprites';
import { IMAGE_SIZE } from '../world';
import { Rng } from '../../engine';
import { readSafetensors } from '../../io';
import { dataFolder } from '../../io/package-root';
import { MagvitTokenizer } from '../../models/showo/image-tokenizer';
import { ShowoModel } from '../../models/showo/model';
import { magvitTask } from './showo-tokenizer-task';
import { showoTask } from './showo-task';
import { miniText, sceneImages, sceneSource } from './scenes';
import { startCodesFromBits, withSharedBits } from './showo-code-rows';
import { MAGVIT_MINI, MAGVIT_MINI_WIDE, magvitMini, MINI_FIRST_BITS, showoMini } from './showo-config';
import { SHOWO_STAGES, SHOWO_TOKENIZER_STAGES } from './showo-curriculum';
import { meanWith } from './showo-mean';
import { SHOWO_FOLDER, trainedTokenizer } from './showo-tokenizer';
import { widenTokenizer } from './showo-widen';
import { type LanguageStage, type PreparedStage, saveParameters, type Stage, taskOptions } from './stage';

/** The tokenizer with fewer bits that the one that ships starts from; it does not ship. */
const FIRST_FOLDER = 'showo-mini-narrow';
/** The same for the tokenizer whose encoder sees whole images, and for Show-o's first training on its codes. */
const WIDE_FOLDER = 'showo-mini-wide';

type TokenizerStageName = keyof typeof SHOWO_TOKENIZER_STAGES;
type ShowoStageName = keyof typeof SHOWO_STAGES;

/** Stages that go on from the weights that ship. */
const FURTHER = [
  'showo-shared-bits',
  'showo-questions',
  'showo-presence',
  'showo-noisy-codes',
  'showo-noisy-answers',
  'showo-color-augmentation',
] as const satisfies readonly ShowoStageName[];

export const SHOWO_TRAINING: Readonly<Record<TokenizerStageName | ShowoStageName, Stage>> = {
  'showo-tokenizer-10-bits': tokenizerStage('showo-tokenizer-10-bits', FIRST_FOLDER, (seed) =>
    Promise.resolve(MagvitTokenizer.random(magvitMini(MINI_FIRST_BITS), new Rng(seed).split('magvit'))),
  ),
  'showo-tokenizer-12-bits': tokenizerStage('showo-tokenizer-12-bits', WIDE_FOLDER, async (seed) =>
    widenTokenizer(await firstTokenizer(), MAGVIT_MINI_WIDE, new Rng(seed).split('wide')),
  ),
  'showo-tokenizer-cells': tokenizerStage('showo-tokenizer-cells', SHOWO_FOLDER, async () =>
    (await wideTokenizer()).configured(MAGVIT_MINI),
  ),
  'showo-language': {
    settings: SHOWO_STAGES['showo-language'],
    folder: WIDE_FOLDER,
    prepare: async (seed) => languageTraining('showo-language', await freshShowo(seed)),
  },
  'showo-cell-codes': {
    settings: SHOWO_STAGES['showo-cell-codes'],
    folder: SHOWO_FOLDER,
    async prepare() {
      const wide = await ShowoModel.fromPretrained(dataFolder('checkpoints', WIDE_FOLDER));
      return languageTraining(
        'showo-cell-codes',
        ShowoModel.of(wide.layers, wide.store, await trainedTokenizer(), wide.tokenizer),
      );
    },
  },
  ...(Object.fromEntries(FURTHER.map((name) => [name, furtherStage(name)])) as Record<(typeof FURTHER)[number], Stage>),
  'showo-drawing': {
    settings: SHOWO_STAGES['showo-drawing'],
    folder: SHOWO_FOLDER,
    async prepare() {
      const shipped = await shippedShowo();
      const before = await shipped.store.values();
      const model = sharingBits(shipped);
      const { task } = await languageTraining('showo-drawing', model);
      return { task, save: async (folder) => (await meanWith(model, before)).savePretrained(folder) };
    },
  },
};

/** A stage of the image tokenizer. @param start what it starts from */
function tokenizerStage(
  name: TokenizerStageName,
  folder: string,
  start: (seed: number) => Promise<MagvitTokenizer>,
): Stage {
  const settings = SHOWO_TOKENIZER_STAGES[name];
  return {
    settings,
    folder,
    async prepare(seed) {
      const tokenizer = await start(seed);
      const source = sceneImages(await loadSprites(), 'train');
      const task = magvitTask(tokenizer, source, settings.batch, IMAGE_SIZE);
      return {
        task: { ...task, name },
        save: (out) => saveParameters(path.join(out, 'tokenizer.safetensors'), tokenizer.parameters),
      };
    },
  };
}

/** A stage that goes on from the weights that ship, with rows of codes that learn together by bits. */
function furtherStage(name: ShowoStageName): Stage {
  return {
    settings: SHOWO_STAGES[name],
    folder: SHOWO_FOLDER,
    prepare: async () => languageTraining(name, sharingBits(await shippedShowo())),
  };
}

async function languageTraining(name: ShowoStageName, model: ShowoModel): Promise<PreparedStage> {
  const stage: LanguageStage = SHOWO_STAGES[name];
  const sprites = await loadSprites();
  if (stage.scenes.colorAugmentation) await addColorAugmentation(sprites);
  const source = sceneSource(sprites, model.tokenizer, 'train', stage.scenes);
  const task = showoTask(model, source, taskOptions(stage));
  return { task: { ...task, name }, save: (folder) => model.savePretrained(folder) };
}

/** Show-o with fresh weights around the tokenizer whose encoder sees whole images. */
async function freshShowo(seed: number): Promise<ShowoModel> {
  const { text, bos, eos } = miniText();
  const start = new Rng(seed).split('showo');
  const config = showoMini(text.vocabularySize, bos, eos);
  const model = ShowoModel.random(config, await wideTokenizer(), text, start);
  startCodesFromBits(model, start.split('codes'));
  return model;
}

function shippedShowo(): Promise<ShowoModel> {
  return ShowoModel.fromPretrained(dataFolder('checkpoints', SHOWO_FOLDER));
}

function sharingBits({ layers, store, magvit, tokenizer }: ShowoModel): ShowoModel {
  return ShowoModel.of(layers, withSharedBits(store, layers.config), magvit, tokenizer);
}

async function firstTokenizer(): Promise<MagvitTokenizer> {
  const file = dataFolder('checkpoints', FIRST_FOLDER, 'tokenizer.safetensors');
  if (!existsSync(file))
    throw new Error(`there is no tokenizer of 10 bits at ${file}; first run: unilab train showo-tokenizer-10-bits`);
  return MagvitTokenizer.fromTensors(magvitMini(MINI_FIRST_BITS), await readSafetensors(file), file);
}

/** The tokenizer with an encoder of whole images. @throws Error naming the stage that makes it when it is not there */
async function wideTokenizer(): Promise<MagvitTokenizer> {
  const file = dataFolder('checkpoints', WIDE_FOLDER, 'tokenizer.safetensors');
  if (!existsSync(file))
    throw new Error(`there is no tokenizer of 12 bits at ${file}; first run: unilab train showo-tokenizer-12-bits`);
  return MagvitTokenizer.fromTensors(MAGVIT_MINI_WIDE, await readSafetensors(file), file);
}
