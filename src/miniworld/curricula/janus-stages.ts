/** The stages that train Janus mini: its VQ tokenizer, its vision tower, then everything around them. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { dataFolder } from '../../io/package-root';
import { JanusModel } from '../../models/janus/model';
import {
  JANUS_LAST_RECIPE,
  JANUS_MORE_RECIPE,
  JANUS_NAMES_RECIPE,
  JANUS_RECIPE,
  JANUS_SHADES_RECIPE,
  JANUS_VQ_RECIPE,
  janusMoreTraining,
  JANUS_SIGHT_RECIPE,
  JANUS_VISION_RECIPE,
  type JanusRecipe,
  janusTraining,
  janusVisionTraining,
  janusVqTraining,
} from './janus-mini';
import { trainedTokenizer } from './showo-tokenizer';

export const JANUS_FOLDER = 'janus-mini';

export const JANUS_STAGES = {
  'janus-tokenizer': {
    recipe: JANUS_VQ_RECIPE,
    out: JANUS_FOLDER,
    async prepare(seed: number) {
      const { model, task } = await janusVqTraining(await trainedTokenizer(), seed);
      return { task, save: (folder: string) => model.savePretrained(folder) };
    },
  },
  'janus-vision': visionStage('janus-vision', JANUS_VISION_RECIPE),
  janus: {
    recipe: JANUS_RECIPE,
    out: JANUS_FOLDER,
    async prepare(seed: number) {
      const { model, task } = await janusTraining(await trainedJanus(), seed);
      return { task, save: (folder: string) => model.savePretrained(folder) };
    },
  },
  'janus-more': furtherStage('janus-more', JANUS_MORE_RECIPE),
  'janus-last': furtherStage('janus-last', JANUS_LAST_RECIPE),
  'janus-sight': visionStage('janus-sight', JANUS_SIGHT_RECIPE),
  'janus-shades': furtherStage('janus-shades', JANUS_SHADES_RECIPE),
  'janus-names': furtherStage('janus-names', JANUS_NAMES_RECIPE),
};

/** A stage that trains the vision tower of the weights that are there. */
function visionStage(name: string, recipe: typeof JANUS_VISION_RECIPE) {
  return {
    recipe,
    out: JANUS_FOLDER,
    async prepare() {
      const { model, task } = await janusVisionTraining(await trainedJanus(), recipe.batch);
      return { task: { ...task, name }, save: (folder: string) => model.savePretrained(folder) };
    },
  };
}

/** A stage that goes on from the weights that are there. */
function furtherStage(name: string, recipe: JanusRecipe) {
  return {
    recipe,
    out: JANUS_FOLDER,
    async prepare() {
      const { model, task } = await janusMoreTraining(await trainedJanus(), recipe);
      return { task: { ...task, name }, save: (folder: string) => model.savePretrained(folder) };
    },
  };
}

/** @throws Error naming the stage that makes it when it is not there */
async function trainedJanus(): Promise<JanusModel> {
  const folder = dataFolder('checkpoints', JANUS_FOLDER);
  if (!existsSync(path.join(folder, 'config.json')))
    throw new Error(`there is no Janus with a trained tokenizer in ${folder}; first run: unilab train janus-tokenizer`);
  return JanusModel.fromPretrained(folder);
}
