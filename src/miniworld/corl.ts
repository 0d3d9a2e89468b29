/** CoRL in the mini world, with scorers that two CPU cores can run, each under its own name. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Rng, startEngine, tf } from '../engine';
import { resolveOptions } from '../io/options';
import { dataFolder } from '../io/package-root';
import { adapt, storageOf } from '../models/adaptation';
import { loadModel, type LoadOptions } from '../models/load';
import { type UnifiedModel } from '../models/unified';
import { canLearnWords, canRepresent, type RepresentingModel } from '../models/abilities';
import { MiniClip } from '../models/scorers/mini-clip';
import { type CorlOptions, corlMini, corlOptions, type CorlRewards, type CorlStage, corlStages } from '../recipes/corl';
import type { CorlRunSetup, HeldRewards } from '../recipes/corl-run';
import {
  answerReward,
  type Captioner,
  cycleReward,
  defineReward,
  formatReward,
  type ImageDistance,
  modelCaptioner,
  modelRepresenter,
  scoreImages,
  timReward,
} from '../rewards';
import { MiniCorlTask } from './corl-task';
import { countedThought, THINK_FIRST, THINKING_WORDS, thoughtIn } from './thinking';
import { textCosines } from './rewards';

/** What a model is asked when an image is to be put into words again. */
const CAPTION_QUESTION = 'what is in the picture ?';

export interface MiniCorlRewardOptions {
  /** `soft`: words that nearly agree count too, as in the released trainer. Default `binary`. */
  readonly accuracy?: 'binary' | 'soft';
  /**
   * What R_cycle takes for a caption. `answers` (default): what the frozen model answers. `thoughts`: what it thinks
   * first, which after cold SFT is a list of all that it sees, with things of one name counted; a model that was taught no thoughts gives none.
   */
  readonly captions?: 'answers' | 'thoughts';
}

/** Loads a checkpoint; a word-list model of another training gets the words that thinking and choosing need. */
export async function loadThinking(
  folder: string = dataFolder('checkpoints', 'janus-mini'),
  options: LoadOptions = {},
): Promise<UnifiedModel> {
  const model = await loadModel(folder, options);
  return canLearnWords(model) ? model.withWords(THINKING_WORDS, new Rng(0).split('words')) : model;
}

/** The same as a folder, so that what is trained from it can be merged: the given one, or `OUT/base` with the new words. */
export async function thinkingBase(folder: string, out: string): Promise<string> {
  const grown = path.join(out, 'base');
  if (existsSync(path.join(grown, 'config.json'))) return grown;
  const plain = await loadModel(folder);
  const model = canLearnWords(plain) ? await plain.withWords(THINKING_WORDS, new Rng(0).split('words')) : plain;
  if (model !== plain) await model.savePretrained(grown, { dtype: 'F32' });
  model.dispose();
  return model === plain ? folder : grown;
}

/**
 * R_cycle by `mini_clip`'s patches and captions of the frozen model, R_TIM by the frozen model's token states (of Janus
 * mini where the model tells none), R_acc and R_format as they are.
 * @param model as it is before it learns
 */
export async function miniCorlRewards(
  model: UnifiedModel,
  { accuracy = 'binary', captions = 'answers' }: MiniCorlRewardOptions = {},
): Promise<HeldRewards> {
  const frozen = model.frozenCopy();
  const clip = await MiniClip.load();
  const representer = canRepresent(frozen) ? frozen : ((await loadThinking()) as RepresentingModel);
  const rewards: CorlRewards = {
    cycle: cycleReward(
      patchDistance(clip),
      captions === 'thoughts' ? thoughtCaptioner(frozen) : answerCaptioner(frozen),
    ),
    tim: timReward(modelRepresenter(representer)),
    accuracy: answerReward(accuracy === 'soft' ? { form: 'soft' } : {}),
    format: formatReward(),
  };
  const dispose = () => {
    clip.parameters.dispose();
    frozen.dispose();
    if (representer !== frozen) representer.dispose();
  };
  return { ...rewards, dispose };
}

const answerCaptioner = (frozen: UnifiedModel) =>
  modelCaptioner(frozen, { questions: [CAPTION_QUESTION], maxNewTokens: 12 });

/** `MODEL_thoughts`: what a frozen model thinks when it is asked what it sees, without tags and answer, and counted. */
export function thoughtCaptioner(frozen: UnifiedModel): Captioner {
  const inner = modelCaptioner(frozen, { questions: [`${CAPTION_QUESTION} ${THINK_FIRST}`], maxNewTokens: 20 });
  return {
    name: `${frozen.modelType}_thoughts`,
    captions: async (images) => (await inner.captions(images)).map((said) => countedThought(thoughtIn(said))),
  };
}

/** The pilot study's: `mini_clip`'s score in the place of R_cycle; to be used with `weights.tim=0`. */
export async function miniPilotRewards(model: UnifiedModel): Promise<HeldRewards> {
  const all = await miniCorlRewards(model);
  const clip = await MiniClip.load();
  const cycle = defineReward('mini_clip_score', [-1, 1], (samples) =>
    scoreImages(samples, (seen) => {
      const images = seen.map(({ image }) => image);
      const cosines = textCosines(
        clip,
        images,
        seen.map(({ text }) => text),
      );
      return Promise.resolve(cosines.map((value) => ({ value })));
    }),
  );
  const dispose = () => {
    all.dispose();
    clip.parameters.dispose();
  };
  return { ...all, cycle, dispose };
}

/**
 * `mini_clip_patches`: as LPIPS compares images, place by place by unit features, on the last features of `mini_clip`;
 * half the mean squared distance, in [0, 1].
 */
export function patchDistance(clip: MiniClip): ImageDistance {
  const unit = (pixels: tf.Tensor4D) => {
    const { imageSize: side } = clip.config;
    const fits = pixels.shape[1] === side && pixels.shape[2] === side;
    const { patches } = clip.net.visual.features(fits ? pixels : tf.image.resizeBilinear(pixels, [side, side]));
    return tf.div(patches, tf.add(tf.norm(patches, 'euclidean', 2, true), 1e-6));
  };
  return {
    name: 'mini_clip_patches',
    distance: (a, b) =>
      tf.tidy(() => {
        const squares = tf.sum(tf.squaredDifference(unit(a), unit(b)), 2);
        return Array.from(tf.div(tf.mean(squares, 1), 4).dataSync());
      }),
  };
}

/** The tasks of all stages. */
export async function miniCorlTasks(): Promise<Record<CorlStage, MiniCorlTask>> {
  const both = await MiniCorlTask.open('both');
  return { unified: both, t2i: both, mcq: await MiniCorlTask.open('mcq'), open: await MiniCorlTask.open('open') };
}

/** A stage's options at mini scale. @param more options, or `key=value`, over the preset's */
export const miniCorlOptions = (stage: CorlStage, ...more: readonly (object | readonly string[])[]): CorlOptions =>
  resolveOptions(corlOptions, corlStages[stage], corlMini, ...more);

/** What `runCorl`, `corlMethod` and `runParadigm` take, for the mini world. */
export function miniCorlSetup(out: string, resume = false, options: MiniCorlRewardOptions = {}): CorlRunSetup {
  return { load: loadThinking, rewards: (model) => miniCorlRewards(model, options), out, resume };
}

export interface OpenCorlOptions {
  readonly stage?: CorlStage;
  /** Options beside the mini preset's. */
  readonly options?: object;
  /** `key=value`, over `options`. */
  readonly set?: readonly string[];
  /** A checkpoint's folder. Default: Janus mini. */
  readonly model?: string;
}

/** Model, task, rewards and options of one stage, in memory: what `corl` takes. */
export interface OpenCorl {
  readonly model: UnifiedModel;
  readonly task: MiniCorlTask;
  readonly rewards: HeldRewards;
  readonly options: CorlOptions;
  dispose(): void;
}

/**
 * One stage for a notebook.
 * @throws OptionsError naming every option at fault
 * @example
 * const lab = await openCorl({ set: ['steps=5'] });
 * for await (const step of corl(lab, lab.options)) console.log(step.step, step.metrics.reward);
 */
export async function openCorl(given: OpenCorlOptions = {}): Promise<OpenCorl> {
  const { stage = 'unified', options = {}, set = [] } = given;
  const resolved = miniCorlOptions(stage, options, set);
  await startEngine();
  const model = await loadThinking(given.model, { dtype: storageOf(resolved) });
  adapt(model, resolved, new Rng(resolved.seed).split('adapters'));
  const [task, rewards] = [(await miniCorlTasks())[stage], await miniCorlRewards(model)];
  const dispose = () => {
    rewards.dispose();
    model.dispose();
  };
  return { model, task, rewards, options: resolved, dispose };
}
