/** What can be evaluated: the scorers of the mini world, and the mini models. */
import { existsSync } from 'node:fs';
import { dataFolder } from '../../io/package-root';
import { MiniClip } from '../../models/scorers/mini-clip';
import { MiniLooks } from '../../models/scorers/mini-looks';
import { loadModel } from '../../models/load';
import { SHOWO_FOLDER, trainedTokenizer } from '../curricula/showo-tokenizer';
import { DETECTOR_FOLDER, SceneDetector } from '../detector';
import type { BinaryTokenizer } from '../lessons/images';
import { evaluateAttributes } from './attributes';
import type { Metric } from './metrics';
import type { SamplerSettings } from './mini-models';
import { evaluateMiniWorld, type MiniWorldOptions, type MiniWorldResult } from './mini-world';
import { evaluateClip, evaluateDetector } from './scorers';

type Evaluate = (
  folder: string,
  imageTokenizer: BinaryTokenizer | undefined,
  n: number,
  seed: number,
) => Promise<Record<string, Metric>>;

interface ScorerTarget {
  /** Its folder among the checkpoints that ship. */
  readonly folder: string;
  readonly evaluate: Evaluate;
}

const TARGETS = {
  detector: {
    folder: DETECTOR_FOLDER,
    evaluate: async (folder, ...rest) => evaluateDetector(await SceneDetector.load(folder), ...rest),
  },
  clip: {
    folder: 'mini-clip',
    evaluate: async (folder, ...rest) => evaluateClip(await MiniClip.load(folder), ...rest),
  },
  face: {
    folder: 'mini-face',
    evaluate: async (folder, ...rest) => evaluateAttributes(await MiniLooks.load('mini-face', folder), ...rest),
  },
  figure: {
    folder: 'mini-figure',
    evaluate: async (folder, ...rest) => evaluateAttributes(await MiniLooks.load('mini-figure', folder), ...rest),
  },
} satisfies Readonly<Record<string, ScorerTarget>>;

export type ScorerName = keyof typeof TARGETS;
export const SCORERS: Readonly<Record<ScorerName, ScorerTarget>> = TARGETS;

export function isScorer(name: string): name is ScorerName {
  return Object.hasOwn(SCORERS, name);
}

/**
 * A scorer on `n` fresh images, as rendered and as the image tokenizer that ships gives them back.
 * @throws Error naming the file that is missing or damaged
 */
export async function evaluateScorer(
  name: ScorerName,
  folder: string,
  n: number,
  seed: number,
): Promise<Record<string, Metric>> {
  return SCORERS[name].evaluate(folder, await imageTokenizer(), n, seed);
}

/** A mini model on scenes that it never saw, looked at by the detector that ships. */
export async function evaluateMiniModel(
  folder: string,
  sampler: SamplerSettings,
  options: MiniWorldOptions,
): Promise<MiniWorldResult> {
  const detector = await SceneDetector.load();
  return evaluateMiniWorld(await loadModel(folder), sampler, detector, options);
}

/** The image tokenizer that ships; without it the scorers are measured on renderings alone. */
async function imageTokenizer(): Promise<BinaryTokenizer | undefined> {
  const file = dataFolder('checkpoints', SHOWO_FOLDER, 'tokenizer.safetensors');
  if (existsSync(file)) return trainedTokenizer();
  console.error(`unilab eval: there is no image tokenizer at ${file}; measuring on renderings alone`);
  return undefined;
}
