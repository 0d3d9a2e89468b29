/** What Sync-GRPO needs, as small as it gets: models of random weights, a subject of numbered words, cheap rewards. */
import { type Rng, tf } from '../../src/engine';
import { resolveOptions } from '../../src/io/options';
import {
  type Pathway,
  PATHWAYS,
  type PersonalizationTask,
  type SubjectExample,
  type SubjectTruth,
} from '../../src/data/personalization';
import { evaluationOf } from '../../src/data/task';
import type { UnifiedModel } from '../../src/models/unified';
import { type SyncGrpoOptions, syncGrpoOptions } from '../../src/recipes/sync-grpo';
import { defineReward, type Reward, type WeightedReward } from '../../src/rewards';
import { tinyModel as tinyChameleon } from '../models/chameleon/fixture';
import { fixtureModel as janusFixture } from '../models/janus/fixture';
import { noiseImage, tinyModel as tinyShowo } from '../models/showo/tiny-showo';

export const backbones = {
  showo: () => Promise.resolve(tinyShowo()),
  janus: () => janusFixture('janus_tied'),
  chameleon: () => Promise.resolve(tinyChameleon()),
} satisfies Record<string, () => Promise<UnifiedModel>>;

/** Sides of the images that each of them looks at, pixels. */
const sides = { showo: 8, janus: 16, chameleon: 8 };

/** @param name the word that stands for the subject in prompts: a plain one, or `<sks>` where the model has its tokens */
export function tinyTask(backbone: keyof typeof backbones = 'showo', name = 'w6'): PersonalizationTask {
  const side = sides[backbone];
  const images = [1, 2].map((seed) => noiseImage(side, side, seed));
  const questions = [{ question: `w20 ${name}`, answer: 'w22 w23' }];
  return {
    name: 'tiny',
    headline: 'codes',
    subject: {
      name: 'tiny',
      kind: 'object',
      className: 'w21',
      references: images.map((image) => ({ image, caption: `w25 ${name}`, questions })),
      facts: ['w22 w23', 'w24'],
      style: 'spaced',
    },
    sample: (rng: Rng, pathway: Pathway = rng.split('pathway').pick(PATHWAYS)): SubjectExample => ({
      id: pathway,
      pathway,
      prompt: `w25 ${name}`,
      question: pathway === 'via' ? [rng.pick(images), `w20 ${name}`] : [`w24 w20 ${name}`],
      facts: pathway === 'via' ? [] : ['w24'],
      references: images,
      truth: { candidates: ['w22 w23', 'w24'], correct: 0 },
      compoundPrompt: (answer) => `w25 ${name} ${answer}`,
      inClassWords: (text) => text.split(name).join('w21'),
    }),
    evaluate: (model, rng, { text, image } = {}) => {
      const requests = [0, 1].map((i) => ({ prompt: model.prompt([`w25 ${name}`], 'generate'), rng: rng.split(i) }));
      const drawn = model.imageSampler(requests, image).finish();
      const asked = [{ prompt: model.prompt([`w20 ${name}`], 'understand'), rng: rng.split('answer') }];
      const [{ text: said }] = model.sampleText(asked, text);
      const items = drawn.map(({ codes }, i) => ({ prompt: `${i}`, text: said, scores: { codes: codes[0] } }));
      return Promise.resolve(evaluationOf(items));
    },
  };
}

/** How bright the image is, in [0, 1]. */
export const brightness: Reward<SubjectTruth> = defineReward('brightness', [0, 1], (samples) =>
  samples.map(({ image }) => tf.tidy(() => (tf.mean(image?.pixels() as tf.Tensor).dataSync()[0] + 1) / 2)),
);

/** The share of even words in the reasoning. */
export const evenWords: Reward<SubjectTruth> = defineReward('even_words', [0, 1], (samples) =>
  samples.map(({ completion }) => {
    const words = completion.split(' ').filter(Boolean);
    return words.filter((word) => Number(word.slice(1)) % 2 === 0).length / Math.max(1, words.length);
  }),
);

export const tinyRewards: readonly WeightedReward<SubjectTruth>[] = [
  { reward: evenWords, weight: 0.4 },
  { reward: brightness, weight: 0.6 },
];

/** Few and short; everything else is the paper's. */
export function tinyOptions(...more: readonly object[]): SyncGrpoOptions {
  const few = {
    steps: 2,
    groupSize: 3,
    learningRate: 1e-3,
    text: { maxNewTokens: 3 },
    image: { steps: 4, guidanceScale: 2 },
    dsog: { batch: 4 },
    subject: { understanding: 2, generation: 1, steps: 2 },
  };
  return resolveOptions(syncGrpoOptions, few, ...more);
}
