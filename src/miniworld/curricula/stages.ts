/** All stages by name: what `unilab train` runs. */
import { DETECTOR_FOLDER } from '../detector';
import { SCORER_STAGES, scorerTraining, type ScorerStageName } from '../lessons/recipes';
import { CHAMELEON_TRAINING } from './chameleon-training';
import { JANUS_TRAINING } from './janus-training';
import { trainedTokenizer } from './showo-tokenizer';
import { SHOWO_TRAINING } from './showo-training';
import type { Stage } from './stage';

/** @param folder of the scorer, among the checkpoints */
function scorerStage(name: ScorerStageName, folder: string): Stage {
  return {
    settings: SCORER_STAGES[name],
    folder,
    prepare: async (seed) => scorerTraining(name, await trainedTokenizer(), seed),
  };
}

export const STAGES: Readonly<Record<string, Stage>> = {
  ...SHOWO_TRAINING,
  detector: scorerStage('detector', DETECTOR_FOLDER),
  clip: scorerStage('clip', 'mini-clip'),
  face: scorerStage('face', 'mini-face'),
  figure: scorerStage('figure', 'mini-figure'),
  ...JANUS_TRAINING,
  ...CHAMELEON_TRAINING,
};
