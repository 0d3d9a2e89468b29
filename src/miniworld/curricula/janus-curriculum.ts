/** Janus mini's curriculum: first the VQ tokenizer and the vision tower, then everything around them. */
import {
  NAMES_IN_PAINT,
  OBJECT_NAMES,
  OBJECT_NAMES_IN_HALF_AUGMENTED_COLORS,
  PRESENCE,
  PRESENCE_IN_SOME_AUGMENTED_COLORS,
  type SceneMixture,
} from './scenes';
import type { PatchLooks } from './janus-patches';
import type { ImageStage, LanguageStage } from './stage';

export interface VisionStage extends ImageStage, PatchLooks {
  /** Weight of hues, see `janusVisionTask`. Default 0. */
  readonly hue?: number;
}

export interface JanusStage extends LanguageStage {
  /** Whether the vision tower stays as it is. Default false. */
  readonly frozenTower?: boolean;
}

/** Nearly every image is drawn behind codes that are mostly another image's, as Show-o's are behind masks; texts stand as they are. */
const BEHIND_WRONG_CODES: LanguageStage['noise'] = {
  cfgDropout: 0.1,
  answerCorruption: 0.35,
  questionNoise: 0.1,
  textCorruption: 0,
  wrongCodes: 0.9,
  wrongShare: 'cosine',
};

/** Names in paint, and whether something is there by names that differ in one word from what is. */
const NEAR_NAMES: SceneMixture = {
  ...NAMES_IN_PAINT,
  colorAugmentation: 0.2,
  paintedSubjects: 0.4,
  paintedPresence: true,
  nearPresence: true,
  tones: 0.2,
  anyName: 0.4,
};

/** The VQ tokenizer and the vision tower. */
export const JANUS_IMAGE_STAGES = {
  /** The VQ tokenizer, which starts from Show-o mini's: little is left to be learned. */
  'janus-tokenizer': {
    steps: 40,
    learningRate: 5e-4,
    weightDecay: 0,
    seed: 1,
    batch: 16,
  },
  /** The vision tower: what every patch shows. */
  'janus-vision': {
    steps: 400,
    learningRate: 2e-3,
    weightDecay: 0.01,
    seed: 1,
    batch: 24,
  },
  /** The vision tower once more, when everything else has been trained for a while. */
  'janus-vision-again': {
    steps: 2500,
    learningRate: 2e-3,
    weightDecay: 0.01,
    seed: 2,
    batch: 24,
  },
  /** Kinds apart from colors: half of the images show objects in colors without a name. */
  'janus-vision-colors': {
    steps: 4000,
    learningRate: 1e-3,
    weightDecay: 0.01,
    seed: 6,
    batch: 24,
    colorAugmentation: 0.5,
  },
  /** Kinds in every hue but those around the held-out ones; colors on what never has them. */
  'janus-vision-tones': {
    steps: 2500,
    learningRate: 2e-3,
    weightDecay: 0.05,
    seed: 10,
    optimizer: 'muon',
    batch: 24,
    tones: 0.6,
    paintedSubjects: 0.4,
  },
  /** The same with hues, which can be read between those that a kind was shown in. */
  'janus-vision-hues': {
    steps: 2500,
    learningRate: 2e-3,
    weightDecay: 0.05,
    seed: 15,
    optimizer: 'muon',
    batch: 24,
    tones: 0.5,
    paintedSubjects: 0.4,
    hue: 2,
  },
} satisfies Readonly<Record<string, VisionStage>>;

/** The language model and the image head, each stage from the weights of the one before. */
export const JANUS_STAGES = {
  /** Language and images around the tokenizer and the tower. */
  'janus-language': {
    steps: 217,
    scheduleSteps: 1000,
    learningRate: 1.5e-3,
    weightDecay: 0.01,
    seed: 1,
    batch: { images: 16, asked: 10, questions: 6, texts: 4 },
    weights: { t2i: 1, mmu: 1, lm: 0.5 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.1, questionNoise: 0.05 },
    scenes: {},
  },
  /** Easier questions: whether something is there. */
  'janus-presence': {
    steps: 200,
    scheduleSteps: 700,
    learningRate: 1.5e-3,
    weightDecay: 0.01,
    seed: 2,
    batch: { images: 16, asked: 10, questions: 6, texts: 4 },
    weights: { t2i: 1, mmu: 1, lm: 0.5 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.1, questionNoise: 0.05 },
    scenes: PRESENCE,
  },
  /** The same with another seed. */
  'janus-presence-again': {
    steps: 43,
    scheduleSteps: 180,
    learningRate: 1.5e-3,
    weightDecay: 0.01,
    seed: 3,
    batch: { images: 16, asked: 10, questions: 6, texts: 4 },
    weights: { t2i: 1, mmu: 1, lm: 0.5 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.1, questionNoise: 0.05 },
    scenes: PRESENCE,
  },
  /** Kinds apart from colors, with the tower that sees better: some objects come in colors without a name. */
  'janus-color-augmentation': {
    steps: 2100,
    learningRate: 1.5e-3,
    weightDecay: 0.01,
    seed: 4,
    batch: { images: 16, asked: 10, questions: 8, texts: 4 },
    weights: { t2i: 1, mmu: 1, lm: 0.5 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.25, questionNoise: 0.1 },
    scenes: PRESENCE_IN_SOME_AUGMENTED_COLORS,
  },
  /** Names of objects, which it knows least. */
  'janus-object-names': {
    steps: 1800,
    learningRate: 1.5e-3,
    weightDecay: 0.01,
    seed: 5,
    batch: { images: 24, asked: 8, questions: 6, texts: 6 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.25, questionNoise: 0.1 },
    scenes: OBJECT_NAMES,
  },
  /** Looking instead of guessing: half of the words that an answer is read behind are wrong. */
  'janus-noisy-answers': {
    steps: 3200,
    learningRate: 1e-3,
    weightDecay: 0.01,
    seed: 7,
    batch: { images: 24, asked: 8, questions: 6, texts: 6 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.5, questionNoise: 0.1 },
    scenes: OBJECT_NAMES_IN_HALF_AUGMENTED_COLORS,
  },
  /** Drawing and reading, by orthogonal steps; colors of what never has them, and images drawn behind wrong codes. */
  'janus-orthogonal': {
    steps: 1000,
    learningRate: 2e-3,
    weightDecay: 0.05,
    seed: 8,
    optimizer: 'muon',
    frozenTower: true,
    batch: { images: 24, asked: 3, questions: 9, texts: 5 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { cfgDropout: 0.1, answerCorruption: 0.35, questionNoise: 0.1, textCorruption: 0.2, wrongCodes: 0.6 },
    scenes: NAMES_IN_PAINT,
  },
  /**
   * Drawing by the caption: nearly every image is drawn behind codes that are mostly another image's, as Show-o's are
   * behind masks, so that no code can be told from those before it alone.
   */
  'janus-drawing': {
    steps: 1400,
    learningRate: 2e-3,
    weightDecay: 0.05,
    seed: 9,
    optimizer: 'muon',
    frozenTower: true,
    batch: { images: 32, asked: 2, questions: 9, texts: 2 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: BEHIND_WRONG_CODES,
    scenes: { ...NAMES_IN_PAINT, paintedSubjects: 0.5 },
  },
  /** Answers and texts with the tower that knows kinds in any tone; drawing goes on beside. */
  'janus-answers': {
    steps: 900,
    learningRate: 2e-3,
    weightDecay: 0.05,
    seed: 11,
    optimizer: 'muon',
    frozenTower: true,
    batch: { images: 16, asked: 10, questions: 9, texts: 10 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: BEHIND_WRONG_CODES,
    scenes: { ...NAMES_IN_PAINT, paintedSubjects: 0.5, tones: 0.5 },
  },
  /** Looking instead of guessing, as `janus-noisy-answers`, with kinds that are the same behind any color word. */
  'janus-looking': {
    steps: 450,
    learningRate: 2e-3,
    weightDecay: 0.05,
    seed: 13,
    optimizer: 'muon',
    frozenTower: true,
    batch: { images: 14, asked: 14, questions: 9, texts: 6 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { ...BEHIND_WRONG_CODES, answerCorruption: 0.5, questionNoise: 0.25 },
    scenes: { ...NAMES_IN_PAINT, paintedSubjects: 0.5, tones: 0.6 },
  },
  /** Colors that are seen, whatever a thing is called. */
  'janus-any-name': {
    steps: 350,
    learningRate: 1.5e-3,
    weightDecay: 0.05,
    seed: 14,
    optimizer: 'muon',
    frozenTower: true,
    batch: { images: 14, asked: 14, questions: 9, texts: 2 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { ...BEHIND_WRONG_CODES, answerCorruption: 0.5, questionNoise: 0.25 },
    scenes: { ...NAMES_IN_PAINT, paintedSubjects: 0.5, tones: 0.3, anyName: 0.7 },
  },
  /** Answers with the tower that tells hues, and whether something is there by both of its words; drawing goes on beside. */
  'janus-seeing': {
    steps: 1200,
    learningRate: 2e-3,
    weightDecay: 0.05,
    seed: 16,
    optimizer: 'muon',
    frozenTower: true,
    batch: { images: 16, asked: 14, questions: 9, texts: 3 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { ...BEHIND_WRONG_CODES, answerCorruption: 0.5 },
    scenes: { ...NAMES_IN_PAINT, paintedSubjects: 0.5, paintedPresence: true, tones: 0.3, anyName: 0.5 },
  },
  /** More of the same, with most images drawn behind true codes again, so that what was begun is gone on with. */
  'janus-keeping': {
    steps: 1100,
    scheduleSteps: 2400,
    learningRate: 2e-3,
    weightDecay: 0.05,
    seed: 17,
    optimizer: 'muon',
    frozenTower: true,
    batch: { images: 16, asked: 16, questions: 9, texts: 3 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { ...BEHIND_WRONG_CODES, answerCorruption: 0.5, wrongCodes: 0.4 },
    scenes: { ...NAMES_IN_PAINT, paintedSubjects: 0.5, paintedPresence: true, tones: 0.3, anyName: 0.5 },
  },
  /** Whether something is there, by names that differ in one word from what is: before, "yes" was said to all of them. */
  'janus-telling': {
    steps: 1400,
    learningRate: 2e-3,
    weightDecay: 0.05,
    seed: 18,
    optimizer: 'muon',
    frozenTower: true,
    batch: { images: 16, asked: 16, questions: 9, texts: 3 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { ...BEHIND_WRONG_CODES, answerCorruption: 0.5, wrongCodes: 0.4 },
    scenes: NEAR_NAMES,
  },
  /** The same with questions as they are, and fewer wrong names: with words wrong now and then the answer had stayed "yes". */
  'janus-comparing': {
    steps: 1000,
    learningRate: 2e-3,
    weightDecay: 0.05,
    seed: 19,
    optimizer: 'muon',
    frozenTower: true,
    batch: { images: 16, asked: 16, questions: 9, texts: 3 },
    weights: { t2i: 1, mmu: 1, lm: 1 },
    noise: { ...BEHIND_WRONG_CODES, answerCorruption: 0.5, questionNoise: 0, wrongCodes: 0.4 },
    scenes: { ...NEAR_NAMES, anyName: 0.2 },
  },
} satisfies Readonly<Record<string, JanusStage>>;
