/** The stages that train Chameleon mini: its VQGAN, then the language model around it. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { dataFolder } from '../../io/package-root';
import { ChameleonModel } from '../../models/chameleon/model';
import {
  CHAMELEON_MORE_RECIPE,
  CHAMELEON_RECIPE,
  CHAMELEON_VQ_RECIPE,
  chameleonMoreTraining,
  chameleonTraining,
  chameleonVqTraining,
} from './chameleon-mini';
import { trainedTokenizer } from './showo-tokenizer';

export const CHAMELEON_FOLDER = 'chameleon-mini';

const saved = (model: ChameleonModel) => (folder: string) => model.savePretrained(folder, { dtype: 'BF16' });

export const CHAMELEON_STAGES = {
  'chameleon-tokenizer': {
    recipe: CHAMELEON_VQ_RECIPE,
    out: CHAMELEON_FOLDER,
    async prepare(seed: number) {
      const { model, task } = await chameleonVqTraining(await trainedTokenizer(), seed);
      return { task, save: saved(model) };
    },
  },
  chameleon: {
    recipe: CHAMELEON_RECIPE,
    out: CHAMELEON_FOLDER,
    async prepare(seed: number) {
      const { model, task } = await chameleonTraining(await trainedChameleon(), seed);
      return { task, save: saved(model) };
    },
  },
  'chameleon-more': {
    recipe: CHAMELEON_MORE_RECIPE,
    out: CHAMELEON_FOLDER,
    async prepare() {
      const { model, task } = await chameleonMoreTraining(await trainedChameleon(), CHAMELEON_MORE_RECIPE);
      return { task: { ...task, name: 'chameleon-more' }, save: saved(model) };
    },
  },
};

/** @throws Error naming the stage that makes it when it is not there */
async function trainedChameleon(): Promise<ChameleonModel> {
  const folder = dataFolder('checkpoints', CHAMELEON_FOLDER);
  if (!existsSync(path.join(folder, 'config.json')))
    throw new Error(
      `there is no Chameleon with a trained VQGAN in ${folder}; first run: unilab train chameleon-tokenizer`,
    );
  return ChameleonModel.fromPretrained(folder);
}
