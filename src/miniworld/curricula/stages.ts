/** The stages of `unilab train`: what each needs, trains and leaves behind. */
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { startEngine, tf } from '../../engine';
import { JsonLines, readSafetensors, writeSafetensors } from '../../io';
import { meanWith } from './showo-mean';
import { ShowoModel } from '../../models/showo/model';
import { MagvitTokenizer } from '../../models/showo/image-tokenizer';
import { MAGVIT_MINI_WIDE, magvitMini, MINI_FIRST_BITS } from './showo-config';
import type { Parameters } from '../../nn/parameters';
import {
  CELL_TOKENIZER_RECIPE,
  cellTokenizerTraining,
  SHOWO_BITS_RECIPE,
  SHOWO_FINISH_RECIPE,
  SHOWO_LAST_RECIPE,
  SHOWO_DRAWING_RECIPE,
  SHOWO_SHADES_RECIPE,
  SHOWO_WORDS_RECIPE,
  SHOWO_MORE_RECIPE,
  SHOWO_RECIPE,
  SHOWO_WIDE_RECIPE,
  type ShowoRecipe,
  showoMoreTraining,
  showoTraining,
  TOKENIZER_RECIPE,
  tokenizerTraining,
  WIDE_TOKENIZER_RECIPE,
  wideTokenizerTraining,
} from './mini-world';
import { type LoopOptions, type StepReport, type SupervisedTask, trainSupervised } from '../../sft/loop';
import { dataFolder } from '../../io/package-root';
import { DETECTOR_FOLDER } from '../detector';
import { MINI_CLIP_FOLDER } from '../../models/scorers/mini-clip';
import {
  CLIP_RECIPE,
  FACE_RECIPE,
  FIGURE_RECIPE,
  DETECTOR_RECIPE,
  trainClip,
  trainFace,
  trainFigure,
  trainDetector,
} from '../lessons/recipes';
import { CHAMELEON_STAGES } from './chameleon-stages';
import { JANUS_STAGES } from './janus-stages';
import { SHOWO_FOLDER, trainedTokenizer } from './showo-tokenizer';

export interface TrainOptions {
  readonly steps?: number;
  readonly seed?: number;
  readonly out?: string;
  readonly checkpoints?: string;
  readonly fallback: boolean;
}

type Recipe = Pick<LoopOptions, 'steps' | 'scheduleSteps' | 'learningRate' | 'weightDecay' | 'seed'>;

interface Prepared {
  readonly task: SupervisedTask<unknown>;
  /** Saves the finished weights into the folder. */
  readonly save: (folder: string) => Promise<void>;
}

interface Stage {
  readonly recipe: Recipe;
  readonly out: string;
  prepare(seed: number): Promise<Prepared>;
}

/** The tokenizer with fewer bits that the one that ships starts from; it does not ship. */
const NARROW_FOLDER = 'showo-mini-narrow';
/** The same for the tokenizer whose encoder sees whole images, and for Show-o's first training on its codes. */
const WIDE_FOLDER = 'showo-mini-wide';

export const STAGES: Readonly<Record<string, Stage>> = {
  'tokenizer-narrow': {
    recipe: TOKENIZER_RECIPE,
    out: NARROW_FOLDER,
    async prepare(seed) {
      const { tokenizer, task } = await tokenizerTraining(seed);
      return {
        task: task,
        save: (folder) => saveParameters(path.join(folder, 'tokenizer.safetensors'), tokenizer.parameters),
      };
    },
  },
  'tokenizer-wide': {
    recipe: WIDE_TOKENIZER_RECIPE,
    out: WIDE_FOLDER,
    async prepare(seed) {
      const { tokenizer, task } = await wideTokenizerTraining(await narrowTokenizer(), seed);
      return {
        task: task,
        save: (folder) => saveParameters(path.join(folder, 'tokenizer.safetensors'), tokenizer.parameters),
      };
    },
  },
  'showo-wide': {
    recipe: SHOWO_WIDE_RECIPE,
    out: WIDE_FOLDER,
    async prepare(seed) {
      const { model, task } = await showoTraining(await wideTokenizer(), seed);
      return { task: task, save: (folder) => model.savePretrained(folder) };
    },
  },
  tokenizer: {
    recipe: CELL_TOKENIZER_RECIPE,
    out: SHOWO_FOLDER,
    async prepare() {
      const { tokenizer, task } = await cellTokenizerTraining(await wideTokenizer());
      return {
        task: task,
        save: (folder) => saveParameters(path.join(folder, 'tokenizer.safetensors'), tokenizer.parameters),
      };
    },
  },
  showo: {
    recipe: SHOWO_RECIPE,
    out: SHOWO_FOLDER,
    async prepare() {
      const wide = await ShowoModel.fromPretrained(dataFolder('checkpoints', WIDE_FOLDER));
      const { model, task } = await showoMoreTraining(
        new ShowoModel(wide.network, await trainedTokenizer(), wide.tokenizer),
        SHOWO_RECIPE,
        false,
      );
      return { task: { ...task, name: 'showo' }, save: (folder) => model.savePretrained(folder) };
    },
  },
  'showo-bits': furtherStage('showo-bits', SHOWO_BITS_RECIPE),
  'showo-more': furtherStage('showo-more', SHOWO_MORE_RECIPE),
  'showo-finish': furtherStage('showo-finish', SHOWO_FINISH_RECIPE),
  'showo-last': furtherStage('showo-last', SHOWO_LAST_RECIPE),
  'showo-words': furtherStage('showo-words', SHOWO_WORDS_RECIPE),
  'showo-shades': furtherStage('showo-shades', SHOWO_SHADES_RECIPE),
  'showo-drawing': furtherStage('showo-drawing', SHOWO_DRAWING_RECIPE, true),
  detector: {
    recipe: DETECTOR_RECIPE,
    out: DETECTOR_FOLDER,
    async prepare(seed) {
      const { detector, task } = await trainDetector(await trainedTokenizer(), seed);
      return { task: task, save: (folder) => detector.save(folder) };
    },
  },
  clip: {
    recipe: CLIP_RECIPE,
    out: MINI_CLIP_FOLDER,
    async prepare(seed) {
      const { clip, task } = await trainClip(await trainedTokenizer(), seed);
      return { task: task, save: (folder) => clip.save(folder) };
    },
  },
  face: {
    recipe: FACE_RECIPE,
    out: 'mini-face',
    async prepare(seed) {
      const { face, task } = await trainFace(await trainedTokenizer(), seed);
      return { task: task, save: (folder) => face.save(folder) };
    },
  },
  figure: {
    recipe: FIGURE_RECIPE,
    out: 'mini-figure',
    async prepare(seed) {
      const { figure, task } = await trainFigure(await trainedTokenizer(), seed);
      return { task: task, save: (folder) => figure.save(folder) };
    },
  },
  ...JANUS_STAGES,
  ...CHAMELEON_STAGES,
};

/**
 * A stage that goes on from the weights that are there, with rows of codes that learn together by bits.
 * @param averaged saves the mean of the weights before and after
 */
function furtherStage(name: string, recipe: ShowoRecipe, averaged = false): Stage {
  return {
    recipe,
    out: SHOWO_FOLDER,
    async prepare() {
      const shipped = await ShowoModel.fromPretrained(dataFolder('checkpoints', SHOWO_FOLDER));
      const before = averaged ? await shipped.network.parameters.values() : undefined;
      const { model, task } = await showoMoreTraining(shipped, recipe, true);
      return {
        task: { ...task, name },
        save: async (folder) => (before ? await meanWith(model, before) : model).savePretrained(folder),
      };
    },
  };
}

async function narrowTokenizer(): Promise<MagvitTokenizer> {
  const file = dataFolder('checkpoints', NARROW_FOLDER, 'tokenizer.safetensors');
  if (!existsSync(file))
    throw new Error(`there is no narrow tokenizer at ${file}; first run: unilab train tokenizer-narrow`);
  return MagvitTokenizer.fromTensors(magvitMini(MINI_FIRST_BITS), await readSafetensors(file), file);
}

/** The tokenizer with an encoder of whole images. @throws Error naming the stage that makes it when it is not there */
async function wideTokenizer(): Promise<MagvitTokenizer> {
  const file = dataFolder('checkpoints', WIDE_FOLDER, 'tokenizer.safetensors');
  if (!existsSync(file))
    throw new Error(`there is no wide tokenizer at ${file}; first run: unilab train tokenizer-wide`);
  return MagvitTokenizer.fromTensors(MAGVIT_MINI_WIDE, await readSafetensors(file), file);
}

/** Saves weights alone, bf16. */
export async function saveParameters(file: string, parameters: Parameters): Promise<void> {
  mkdirSync(path.dirname(file), { recursive: true });
  const values = await parameters.values();
  await writeSafetensors(
    file,
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { ...value, dtype: 'BF16' as const }])),
  );
}

/** Runs a stage to its end, or until Ctrl-C. @returns exit status: 0 done, 130 stopped by Ctrl-C with the state saved */
export async function runTraining(name: keyof typeof STAGES, options: TrainOptions): Promise<number> {
  const stage = STAGES[name];
  const report = await startEngine();
  console.error(`unilab train ${name}: ${report.engine} engine (${report.library}), ${report.precision}`);
  const seed = options.seed ?? stage.recipe.seed;
  const { task, save } = await stage.prepare(seed);
  const folder = options.checkpoints ?? path.join('out', 'train', name);
  mkdirSync(folder, { recursive: true });
  const curve = await JsonLines.open<StepReport & { tensors: number }>(path.join(folder, 'curve.jsonl'));
  let stop = false;
  const onInterrupt = () => {
    if (stop) process.exit(130);
    stop = true;
    console.error('\nstopping after this step; the state will be saved (Ctrl-C again to stop at once)');
  };
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onInterrupt);
  const started = performance.now();
  let first = -1;
  try {
    for await (const step of trainSupervised(task, {
      ...stage.recipe,
      steps: options.steps ?? stage.recipe.steps,
      seed,
      folder,
      fallback: options.fallback,
    })) {
      if (first < 0) first = step.step - 1;
      await curve.append({ ...step, tensors: tf.memory().numTensors });
      printProgress(step, (performance.now() - started) / 1000 / (step.step - first));
      if (stop) break;
    }
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onInterrupt);
    await curve.close();
  }
  if (stop) {
    console.error(`stopped; the same command goes on from ${folder}`);
    return 130;
  }
  const out = options.out ?? dataFolder('checkpoints', stage.out);
  await save(out);
  console.log(`trained ${name}: ${out}`);
  return 0;
}

function printProgress(step: StepReport, secondsEach: number): void {
  if (step.step % 10 && step.step !== step.steps) return;
  const left = Math.round((step.steps - step.step) * secondsEach);
  const parts = Object.entries(step.metrics).map(([key, value]) => `${key} ${value.toFixed(4)}`);
  console.error(
    `${String(step.step).padStart(5)}/${step.steps}  loss ${step.loss.toFixed(4)}  ${parts.join('  ')}  norm ${step.gradNorm.toFixed(2)}  ` +
      `${secondsEach.toFixed(2)} s/step  ${Math.floor(left / 60)}m${String(left % 60).padStart(2, '0')}s left`,
  );
}
