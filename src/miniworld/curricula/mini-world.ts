/**
 * How the mini checkpoints that ship are trained: first the image tokenizer, then Show-o on scenes. Hyper-parameters
 * stand here; `unilab train` runs it.
 */
import {
  addColorAugmentation,
  factQuestions,
  withAugmentedColors,
  loadSprites,
  namingQuestions,
  presenceQuestions,
  sampleKind,
  sampleScene,
  type SceneKind,
  augmentedQuestions,
  type Split,
  type SpriteSheet,
  canAugmentColors,
  captionOf,
  questionsOf,
  renderScene,
  withoutColors,
} from '..';
import { Rng } from '../../engine';
import { MagvitTokenizer } from '../../models/showo/image-tokenizer';
import { MAGVIT_MINI, MAGVIT_MINI_WIDE, magvitMini, MINI_FIRST_BITS, showoMini } from './showo-config';
import { BitSharedParameters, startCodesFromBits } from './showo-code-rows';
import { ShowoModel } from '../../models/showo/model';
import { ShowoNetwork } from '../../models/showo/network';
import { widenTokenizer } from './showo-widen';
import type { LoopOptions } from '../../sft/loop';
import { magvitTask } from '../../sft/train-magvit';
import { type ShowoSource, showoTask } from '../../sft/train-showo';
import { loadTokenizer, type TextTokenizer } from '../../text';

/** Height and width of the mini world's images. */
export const IMAGE_SIZE = 64;

/** Training of the image tokenizer. */
export const TOKENIZER_RECIPE: Pick<LoopOptions, 'steps' | 'learningRate' | 'weightDecay' | 'seed'> & {
  batch: number;
} = {
  steps: 2400,
  batch: 16,
  learningRate: 2e-3,
  weightDecay: 0,
  seed: 1,
};

/** Hyper-parameters of one part of Show-o's training. */
export type ShowoRecipe = Pick<LoopOptions, 'steps' | 'scheduleSteps' | 'learningRate' | 'weightDecay' | 'seed'> &
  Omit<Parameters<typeof showoTask>[2], 'size'> & { readonly scenes?: SceneMixture };

/** Which scenes a training sees, and what is asked about them. Default: as the mini world draws them. */
export interface SceneMixture {
  /** How often each kind of scene comes, in any unit. */
  readonly kinds?: Readonly<Record<SceneKind, number>>;
  /** Whether easier questions about presence come too, see `presenceQuestions`. Default false */
  readonly presence?: boolean;
  /** Whether names are asked for, see `namingQuestions`, and presence only once. Default false */
  readonly naming?: boolean;
  /** Chance that the objects of a scene without subjects come in shades that have no name, see `inShades`. Default 0 */
  readonly colorAugmentation?: number;
}

/** First training of Show-o, on the wide tokenizer's codes: language, places and colors. */
export const SHOWO_WIDE_RECIPE: ShowoRecipe = {
  steps: 1600,
  scheduleSteps: 3600,
  learningRate: 1.5e-3,
  weightDecay: 0.01,
  seed: 1,
  images: 28,
  asked: 16,
  questions: 6,
  texts: 6,
  weights: { t2i: 1, mmu: 1, lm: 0.5 },
  cfgDropout: 0.1,
};

/** Training of Show-o on the final codes. Answers and text weigh as much as images: they carry the reasoning. */
export const SHOWO_RECIPE: ShowoRecipe = {
  ...SHOWO_WIDE_RECIPE,
  steps: 800,
  scheduleSteps: 2000,
  seed: 2,
  asked: 12,
  texts: 8,
  weights: { t2i: 1, mmu: 1, lm: 1 },
};

/** Then: noise on the words of answers, and rows of codes that learn together by bits, for combinations never seen. */
export const SHOWO_BITS_RECIPE: ShowoRecipe = {
  ...SHOWO_RECIPE,
  steps: 400,
  scheduleSteps: 1250,
  learningRate: 1.2e-3,
  seed: 3,
  answerCorruption: 0.2,
};

/** Further training of Show-o from the weights that are there, with more questions; can be repeated with another seed. */
export const SHOWO_MORE_RECIPE: ShowoRecipe = {
  ...SHOWO_BITS_RECIPE,
  steps: 1000,
  scheduleSteps: undefined,
  seed: 4,
  asked: 14,
  questions: 8,
  texts: 6,
  questionNoise: 0.1,
  codeBitFlip: 0.1,
};

/**
 * Further still: easier questions about presence, and twice as many subjects beside objects, which are the hardest to
 * draw and what personal concepts need.
 */
export const SHOWO_FINISH_RECIPE: ShowoRecipe = {
  ...SHOWO_MORE_RECIPE,
  steps: 1600,
  seed: 5,
  questions: 9,
  scenes: {
    kinds: { single: 0.22, count: 0.13, pair: 0.25, subject: 0.08, 'subject+object': 0.32 },
    presence: true,
  },
};

/** Once more, with more codes of asked images changed: held-out combinations are read worse than those of training. */
export const SHOWO_LAST_RECIPE: ShowoRecipe = {
  ...SHOWO_FINISH_RECIPE,
  steps: 1000,
  learningRate: 1e-3,
  seed: 6,
  codeBitFlip: 0.2,
};

/**
 * The end: half of the words that an answer is read behind are others, for after "green" the model would only name what
 * it has seen in green; and more images, for text is read without a mistake by now.
 */
export const SHOWO_WORDS_RECIPE: ShowoRecipe = {
  ...SHOWO_LAST_RECIPE,
  steps: 500,
  seed: 7,
  images: 34,
  texts: 3,
  answerCorruption: 0.5,
  questionNoise: 0.25,
};

/** Kinds apart from colors: half of the objects in shades without a name, and more images asked about. */
export const SHOWO_SHADES_RECIPE: ShowoRecipe = {
  ...SHOWO_WORDS_RECIPE,
  steps: 700,
  seed: 8,
  images: 28,
  asked: 18,
  answerCorruption: 0.35,
  scenes: { ...SHOWO_FINISH_RECIPE.scenes, colorAugmentation: 0.5 },
};

/**
 * Last: answers are good by now, and held-out images want more practice in drawing. What is kept is the mean of the
 * weights before and after.
 */
export const SHOWO_DRAWING_RECIPE: ShowoRecipe = {
  ...SHOWO_SHADES_RECIPE,
  steps: 400,
  learningRate: 8e-4,
  seed: 9,
  images: 44,
  asked: 8,
};

/** What a mini model is shown that knows colors, numbers and places, but few kinds: single objects, and their names. */
export const NAMES_MIXTURE: SceneMixture = {
  kinds: { single: 0.36, count: 0.12, pair: 0.26, subject: 0.08, 'subject+object': 0.18 },
  naming: true,
  colorAugmentation: 0.35,
};

/** The text vocabulary of the mini world and its begin and end tokens. */
export function miniText(): { text: TextTokenizer; bos: number; eos: number } {
  const text = loadTokenizer();
  const [bos, eos] = ['[BOS]', '[EOS]'].map((token) => text.idOf(token));
  if (bos === undefined || eos === undefined) throw new Error('the mini world tokenizer has no [BOS] or no [EOS]');
  return { text, bos, eos };
}

/** Images of scenes of a split. */
export function sceneImages(sprites: SpriteSheet, split: Split): (rng: Rng) => Uint8Array {
  return (rng) => renderScene(sampleScene(rng, split), sprites);
}

/** Captioned, questioned scenes and facts of a split, as ids. */
export function sceneSource(
  sprites: SpriteSheet,
  text: TextTokenizer,
  split: Split,
  mixture: SceneMixture = {},
): ShowoSource {
  return {
    image(rng) {
      const kind = mixture.kinds && sampleKind(rng, split, mixture.kinds);
      const scene = sampleScene(rng, split, kind);
      // Whether something is there is the hardest question: it is asked three times.
      const again = [rng.split('again'), rng.split('and again')].flatMap((s) => questionsOf(scene, s));
      const hard = mixture.naming ? namingQuestions(scene) : again.filter((q) => q.type === 'yes_no');
      const easy = mixture.presence ? presenceQuestions(scene, rng.split('presence')) : [];
      const questions = [...questionsOf(scene, rng), ...hard, ...easy];
      const caption = captionOf(scene, rng);
      const colorAugmentation = rng.split('shades');
      if (
        mixture.colorAugmentation &&
        canAugmentColors(scene) &&
        colorAugmentation.uniform() < mixture.colorAugmentation
      ) {
        return {
          pixels: renderScene(withAugmentedColors(scene, colorAugmentation), sprites),
          caption: text.encode(withoutColors(caption)),
          // The mini world's tokens are words: a word's place in the answer is its token's.
          questions: augmentedQuestions(questions).map((q) => ({
            question: text.encode(q.problem),
            answer: text.encode(q.solution),
            unscored: q.colorWords,
          })),
        };
      }
      return {
        pixels: renderScene(scene, sprites),
        caption: text.encode(caption),
        questions: questions.map((q) => ({ question: text.encode(q.problem), answer: text.encode(q.solution) })),
      };
    },
    text(rng) {
      const { facts, questions } = factQuestions(rng, split);
      return {
        text: text.encode(facts),
        questions: questions.map((q) => ({ question: text.encode(q.problem), answer: text.encode(q.solution) })),
      };
    },
  };
}

/** Second part of the tokenizer's training: two more bits. */
export const WIDE_TOKENIZER_RECIPE: typeof TOKENIZER_RECIPE = { ...TOKENIZER_RECIPE, steps: 900, learningRate: 1.5e-3 };

/** The wide tokenizer's task, from a trained narrow one. */
export async function wideTokenizerTraining(narrow: MagvitTokenizer, seed = WIDE_TOKENIZER_RECIPE.seed) {
  const sprites = await loadSprites();
  const tokenizer = await widenTokenizer(narrow, MAGVIT_MINI_WIDE, new Rng(seed).split('wide'));
  const task = magvitTask(tokenizer, sceneImages(sprites, 'train'), WIDE_TOKENIZER_RECIPE.batch, IMAGE_SIZE);
  return { tokenizer, task: { ...task, name: 'magvit-wide' } };
}

/** Last part of the tokenizer's training: the encoder learns to do with one cell. */
export const CELL_TOKENIZER_RECIPE: typeof TOKENIZER_RECIPE = { ...TOKENIZER_RECIPE, steps: 900, learningRate: 1.5e-3 };

/** The task of the tokenizer that ships, from the trained wide one (which is emptied by it: its weights move over). */
export async function cellTokenizerTraining(wide: MagvitTokenizer) {
  const sprites = await loadSprites();
  const tokenizer = wide.configured(MAGVIT_MINI);
  const task = magvitTask(tokenizer, sceneImages(sprites, 'train'), CELL_TOKENIZER_RECIPE.batch, IMAGE_SIZE);
  return { tokenizer, task: { ...task, name: 'magvit-cells' } };
}

/** The narrow tokenizer's task with fresh weights. */
export async function tokenizerTraining(seed = TOKENIZER_RECIPE.seed) {
  const sprites = await loadSprites();
  const tokenizer = MagvitTokenizer.random(magvitMini(MINI_FIRST_BITS), new Rng(seed).split('magvit'));
  return {
    tokenizer,
    task: magvitTask(tokenizer, sceneImages(sprites, 'train'), TOKENIZER_RECIPE.batch, IMAGE_SIZE),
  };
}

/** Show-o's task with fresh weights around a trained image tokenizer. */
export async function showoTraining(imageTokenizer: MagvitTokenizer, seed = SHOWO_WIDE_RECIPE.seed) {
  const sprites = await loadSprites();
  const { text, bos, eos } = miniText();
  const start = new Rng(seed).split('showo');
  const model = ShowoModel.random(showoMini(text.vocabularySize, bos, eos), imageTokenizer, text, start);
  startCodesFromBits(model, start.split('codes'));
  return {
    model,
    task: showoTask(model, sceneSource(sprites, text, 'train'), { ...SHOWO_WIDE_RECIPE, size: IMAGE_SIZE }),
  };
}

/** Show-o's further training. @param trained so far @param shared rows of codes learn together by bits */
export async function showoMoreTraining(trained: ShowoModel, recipe: ShowoRecipe, shared: boolean) {
  const sprites = await loadSprites();
  if (recipe.scenes?.colorAugmentation) await addColorAugmentation(sprites);
  const { tokenizer: text, network, magvit } = trained;
  const { config, parameters, vocabulary } = network;
  const together = () => new BitSharedParameters(parameters, vocabulary, config.codebook_size);
  const model = shared ? new ShowoModel(new ShowoNetwork(config, together()), magvit, text) : trained;
  const task = showoTask(model, sceneSource(sprites, text, 'train', recipe.scenes), { ...recipe, size: IMAGE_SIZE });
  return { model, task: { ...task, name: 'showo-more' } };
}
