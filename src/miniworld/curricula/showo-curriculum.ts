/** Show-o mini's curriculum: first the image tokenizer, then the transformer around it. */
import { PRESENCE_AND_PEOPLE, PRESENCE_IN_HALF_AUGMENTED_COLORS } from './scenes';
import type { ImageStage, LanguageStage } from './stage';

/** The image tokenizer. */
export const SHOWO_TOKENIZER_STAGES = {
  /** An image tokenizer of 10 bits a code: few bits force it to find what matters most. */
  'showo-tokenizer-10-bits': {
    steps: 2400,
    learningRate: 2e-3,
    weightDecay: 0,
    seed: 1,
    batch: 16,
  },
  /** Two more bits for the details. */
  'showo-tokenizer-12-bits': {
    steps: 900,
    learningRate: 1.5e-3,
    weightDecay: 0,
    seed: 1,
    batch: 16,
  },
  /** The encoder learns to do with one cell, so that a part of a figure has one code wherever it stands. */
  'showo-tokenizer-cells': {
    steps: 900,
    learningRate: 1.5e-3,
    weightDecay: 0,
    seed: 1,
    batch: 16,
  },
} satisfies Readonly<Record<string, ImageStage>>;

/** The transformer, each stage from the weights of the one before. */
export const SHOWO_STAGES = {
  /** Language, places and colors, on the codes of 12 bits. */
  'showo-language': {
    steps: 1600,
    scheduleSteps: 3600,
    learningRate: 1.5e-3,
    weightDecay: 0.01,
    seed: 1,
    batch: { images: 28, asked: 16, questions: 6, texts: 6 },
    weights: { t2i: 1, mmu: 1, lm: 0.5 },
    noise: { cfgDropout: 0.1 },
    scenes: {},
  },
  /** The final codes. Answers and text weigh as much as images: they carry the reasoning. */
  'showo-cell-codes': {
    steps: 800,
    scheduleSteps: 2000,
    learningRate: 1.5e-3,
    weightDecay: 0.01,
    seed: 2,
    batch: { images: 28, asked: 12, questions: 6, texts: 8 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { cfgDropout: 0.1 },
    scenes: {},
  },
  /** Combinations never seen: rows of codes learn together by bits, answers are read with wrong words in them. */
  'showo-shared-bits': {
    steps: 400,
    scheduleSteps: 1250,
    learningRate: 1.2e-3,
    weightDecay: 0.01,
    seed: 3,
    batch: { images: 28, asked: 12, questions: 6, texts: 8 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.2 },
    scenes: {},
  },
  /** More questions an image, with noise on questions and codes. */
  'showo-questions': {
    steps: 1000,
    learningRate: 1.2e-3,
    weightDecay: 0.01,
    seed: 4,
    batch: { images: 28, asked: 14, questions: 8, texts: 6 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.2, questionNoise: 0.1, codeBitFlip: 0.1 },
    scenes: {},
  },
  /** Whether something is there; and twice as many subjects beside objects, which are the hardest to draw. */
  'showo-presence': {
    steps: 1600,
    learningRate: 1.2e-3,
    weightDecay: 0.01,
    seed: 5,
    batch: { images: 28, asked: 14, questions: 9, texts: 6 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.2, questionNoise: 0.1, codeBitFlip: 0.1 },
    scenes: PRESENCE_AND_PEOPLE,
  },
  /** Reading images whose codes are partly wrong: held-out combinations are read worse than trained ones. */
  'showo-noisy-codes': {
    steps: 1000,
    learningRate: 1e-3,
    weightDecay: 0.01,
    seed: 6,
    batch: { images: 28, asked: 14, questions: 9, texts: 6 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.2, questionNoise: 0.1, codeBitFlip: 0.2 },
    scenes: PRESENCE_AND_PEOPLE,
  },
  /**
   * Looking instead of guessing: after "green" the model would only name what it has seen in green, so half of
   * the words that an answer is read behind are wrong. More images, for text is read without a mistake by now.
   */
  'showo-noisy-answers': {
    steps: 500,
    learningRate: 1e-3,
    weightDecay: 0.01,
    seed: 7,
    batch: { images: 34, asked: 14, questions: 9, texts: 3 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.5, questionNoise: 0.25, codeBitFlip: 0.2 },
    scenes: PRESENCE_AND_PEOPLE,
  },
  /** Kinds apart from colors: half of the objects come in colors without a name. */
  'showo-color-augmentation': {
    steps: 700,
    learningRate: 1e-3,
    weightDecay: 0.01,
    seed: 8,
    batch: { images: 28, asked: 18, questions: 9, texts: 3 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.35, questionNoise: 0.25, codeBitFlip: 0.2 },
    scenes: PRESENCE_IN_HALF_AUGMENTED_COLORS,
  },
  /** Drawing. The mean of the weights before and after is what is kept. */
  'showo-drawing': {
    steps: 400,
    learningRate: 8e-4,
    weightDecay: 0.01,
    seed: 9,
    batch: { images: 44, asked: 8, questions: 9, texts: 3 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.35, questionNoise: 0.25, codeBitFlip: 0.2 },
    scenes: PRESENCE_IN_HALF_AUGMENTED_COLORS,
  },
} satisfies Readonly<Record<string, LanguageStage>>;
