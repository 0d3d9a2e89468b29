/** What CoRL needs, as small as it gets: a Janus of random weights, examples of numbered words, cheap rewards. */
import { type Rng, tf } from '../../src/engine';
import type { CorlExample, CorlTask, CorlTruth } from '../../src/data/corl-task';
import { resolveOptions } from '../../src/io/options';
import { type CorlOptions, corlOptions, type CorlRewards } from '../../src/recipes/corl';
import { defineReward } from '../../src/rewards';
import { noiseImage } from '../models/showo/tiny-showo';

const image = noiseImage(16, 16, 3);

export const tinyCorlTask: CorlTask = {
  name: 'tiny',
  evaluate: () => Promise.resolve({ metrics: {}, items: [] }),
  sample: (rng: Rng): CorlExample => {
    const word = `w${20 + rng.int(5)}`;
    return {
      id: word,
      prompt: `w25 ${word}`,
      references: [image],
      truth: { solution: word, problem: `w9 ${word}`, form: 'open_ended' },
      question: [image, `w9 ${word}`],
      completion: `w1 ${word}`,
    };
  },
};

const even = (completion: string) => {
  const words = completion.split(' ').filter(Boolean);
  return words.filter((word) => Number(word.slice(1)) % 2 === 0).length / Math.max(1, words.length);
};

export const tinyCorlRewards: CorlRewards = {
  cycle: defineReward<CorlTruth>('brightness', [0, 1], (samples) =>
    samples.map(({ image: drawn }) => tf.tidy(() => (tf.mean(drawn?.pixels() as tf.Tensor).dataSync()[0] + 1) / 2)),
  ),
  tim: defineReward<CorlTruth>('red', [-1, 1], (samples) =>
    samples.map(({ image: drawn }) =>
      tf.tidy(() => tf.mean(tf.slice(drawn?.pixels() as tf.Tensor4D, [0, 0, 0, 0], [1, -1, -1, 1])).dataSync()[0]),
    ),
  ),
  accuracy: defineReward<CorlTruth>('even', [0, 1], (samples) => samples.map(({ completion }) => even(completion))),
  format: defineReward<CorlTruth>('short', [0, 1], (samples) =>
    samples.map(({ completion }) => 1 / (1 + completion.length)),
  ),
};

/** Few and short; everything else is the paper's. */
export function tinyCorlOptions(...more: readonly object[]): CorlOptions {
  const few = {
    steps: 2,
    groupSize: 3,
    batchSize: 2,
    learningRate: 1e-3,
    text: { maxNewTokens: 4 },
    image: { guidanceScale: 2 },
  };
  return resolveOptions(corlOptions, few, ...more);
}
