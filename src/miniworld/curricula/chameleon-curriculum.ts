/** Chameleon mini's curriculum: first the VQGAN, then the language model around it. */
import { NAMES_AND_PRESENCE, NAMES_IN_PAINT, OBJECT_NAMES } from './scenes';
import type { VqganTrainingOptions } from './chameleon-task';
import type { ImageStage, LanguageStage } from './stage';

export interface VqganStage extends ImageStage, Pick<VqganTrainingOptions, 'refreshUntil' | 'part'> {
  /** Share of images of X-CoT's subjects, of split `train`. Default 0. */
  readonly subjects?: number;
}

/** The image tokenizer. */
export const CHAMELEON_IMAGE_STAGES = {
  /** The VQGAN, which starts from Show-o mini's tokenizer: little is left to be learned. */
  'chameleon-tokenizer': {
    steps: 40,
    learningRate: 5e-4,
    weightDecay: 0,
    seed: 1,
    batch: 16,
    refreshUntil: -1,
  },
  /** The decoder once more, with animals and things in colors that are not theirs: half of the images are X-CoT's. */
  'chameleon-decoder': {
    steps: 4000,
    learningRate: 1e-3,
    weightDecay: 0,
    seed: 2,
    batch: 16,
    refreshUntil: -1,
    part: 'decoder',
    subjects: 0.5,
  },
} satisfies Readonly<Record<string, VqganStage>>;

/** Nearly every image is drawn behind codes that are mostly another image's, as Show-o's are behind masks; texts stand as they are. */
const BEHIND_WRONG_CODES: LanguageStage['noise'] = {
  cfgDropout: 0.1,
  answerCorruption: 0.35,
  questionNoise: 0.1,
  textCorruption: 0,
  codeBitFlip: 0.1,
  wrongCodes: 0.9,
  wrongShare: 'cosine',
};

/** The language model. */
export const CHAMELEON_STAGES = {
  /** Words and image codes in one sequence. */
  'chameleon-language': {
    steps: 1000,
    learningRate: 1.5e-3,
    weightDecay: 0.01,
    seed: 1,
    batch: { images: 16, asked: 10, questions: 6, texts: 4 },
    weights: { t2i: 1, mmu: 1, lm: 0.5, xcot: 1 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.1, questionNoise: 0.05, codeBitFlip: 0.05 },
    scenes: {},
  },
  /** Names of objects, which it knows least. */
  'chameleon-object-names': {
    steps: 1600,
    learningRate: 1.5e-3,
    weightDecay: 0.01,
    seed: 2,
    batch: { images: 24, asked: 8, questions: 6, texts: 6 },
    weights: { t2i: 1, mmu: 1, lm: 1, xcot: 1 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.25, questionNoise: 0.1, codeBitFlip: 0.1 },
    scenes: OBJECT_NAMES,
  },
  /** Drawing and reading, by orthogonal steps; facts are read as they stand, so that they can be copied. */
  'chameleon-orthogonal': {
    steps: 1600,
    learningRate: 2e-3,
    weightDecay: 0.05,
    seed: 3,
    optimizer: 'muon',
    batch: { images: 24, asked: 8, questions: 9, texts: 10 },
    weights: { t2i: 1, mmu: 1, lm: 1, xcot: 1 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.35, questionNoise: 0.1, textCorruption: 0, codeBitFlip: 0.1 },
    scenes: NAMES_AND_PRESENCE,
  },
  /** Colors of what never has them, and words heeded at every code: images are drawn behind wrong codes, too. */
  'chameleon-wrong-codes': {
    steps: 461,
    scheduleSteps: 500,
    learningRate: 2e-3,
    weightDecay: 0.05,
    seed: 4,
    optimizer: 'muon',
    batch: { images: 20, asked: 4, questions: 9, texts: 8 },
    weights: { t2i: 1, mmu: 1, lm: 1, xcot: 1 },
    noise: {
      cfgDropout: 0.1,
      answerCorruption: 0.35,
      questionNoise: 0.1,
      textCorruption: 0.2,
      codeBitFlip: 0.1,
      wrongCodes: 0.6,
    },
    scenes: NAMES_IN_PAINT,
  },
  /**
   * Drawing by the caption: nearly every image is drawn behind codes that are mostly another image's, as Show-o's are
   * behind masks, so that no code can be told from those before it alone.
   */
  'chameleon-drawing': {
    steps: 800,
    learningRate: 2e-3,
    weightDecay: 0.05,
    seed: 5,
    optimizer: 'muon',
    batch: { images: 24, asked: 4, questions: 9, texts: 6 },
    weights: { t2i: 1, mmu: 1, lm: 1, xcot: 1 },
    noise: BEHIND_WRONG_CODES,
    scenes: { ...NAMES_IN_PAINT, paintedSubjects: 0.5 },
  },
  /** The same for longer, with more facts to be read. */
  'chameleon-composing': {
    steps: 1600,
    learningRate: 2e-3,
    weightDecay: 0.05,
    seed: 6,
    optimizer: 'muon',
    batch: { images: 28, asked: 4, questions: 9, texts: 10 },
    weights: { t2i: 1, mmu: 1, lm: 1, xcot: 1 },
    noise: BEHIND_WRONG_CODES,
    scenes: { ...NAMES_IN_PAINT, paintedSubjects: 0.5 },
  },
  /** Whether something is there, by both of its words; drawing goes on beside. */
  'chameleon-seeing': {
    steps: 450,
    learningRate: 1.5e-3,
    weightDecay: 0.05,
    seed: 7,
    optimizer: 'muon',
    batch: { images: 20, asked: 12, questions: 9, texts: 3 },
    weights: { t2i: 1, mmu: 1, lm: 1, xcot: 1 },
    noise: BEHIND_WRONG_CODES,
    scenes: { ...NAMES_IN_PAINT, paintedSubjects: 0.5, paintedPresence: true },
  },
} satisfies Readonly<Record<string, LanguageStage & { readonly weights: { readonly xcot: number } }>>;
