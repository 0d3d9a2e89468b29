/** MM-R1's reward models (Sec. 3.4) from one folder: DreamSim for R_i, PickScore for R_t. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Clip } from '../models/scorers/clip';
import { DREAMSIM_BACKBONES, DreamSim, type DreamSimBackboneName } from '../models/scorers/dreamsim';
import { dreamSimSimilarity } from './dreamsim';
import { pickScore } from './pick-score';
import type { Reward } from './reward';

/** The sub-folders, and what belongs into each. */
const BELONGS = {
  dreamsim:
    'DreamSim (Fu et al. 2023): dino_vitb16.safetensors, clip_vitb16.safetensors and open_clip_vitb16.safetensors, or one of them, and the adapters in adapters/',
  pickscore: 'PickScore as transformers saves it (yuvalkirstain/PickScore_v1)',
} as const;

export interface MmR1Rewards {
  /** 1 - distance, in [-1, 1]. */
  readonly similarity: Reward;
  /** PickScore / 26. */
  readonly text: Reward;
  /** Frees the models; the rewards cannot be asked any more. */
  dispose(): void;
}

/**
 * Loads `dreamsim/` and `pickscore/` of a folder; the rewards are named after what is in them.
 * @throws Error listing the sub-folders that are missing with what belongs there; the models' own errors otherwise
 */
export async function mmR1RewardsFrom(folder: string): Promise<MmR1Rewards> {
  const at = (part: keyof typeof BELONGS) => path.join(folder, part);
  const missing = (Object.keys(BELONGS) as (keyof typeof BELONGS)[]).filter((part) => !existsSync(at(part)));
  if (missing.length > 0)
    throw new Error(
      `the folder of scorers ${folder} lacks\n${missing.map((part) => `  ${part}/: ${BELONGS[part]}`).join('\n')}`,
    );
  const dreamsim = await loadDreamSim(at('dreamsim'));
  try {
    const clip = await Clip.fromPretrained(at('pickscore'));
    return {
      similarity: dreamSimSimilarity(dreamsim),
      text: pickScore(clip, { divideBy: 26 }),
      dispose: () => [dreamsim, clip].forEach((model) => model.dispose()),
    };
  } catch (error) {
    dreamsim.dispose();
    throw error;
  }
}

/** DreamSim with the backbones that are in a folder, in the order of the published ensemble. @throws Error when there is none */
export async function loadDreamSim(folder: string): Promise<DreamSim> {
  const weightsOf = (name: string) => path.join(folder, `${name}.safetensors`);
  const names = Object.keys(DREAMSIM_BACKBONES) as DreamSimBackboneName[];
  const backbones = names
    .filter((name) => existsSync(weightsOf(name)))
    .map((name) => ({ name, weights: weightsOf(name) }));
  if (backbones.length === 0)
    throw new Error(`${folder} has no weights; expected ${names.map((name) => `${name}.safetensors`).join(', ')}`);
  const adapters = path.join(folder, 'adapters');
  return DreamSim.load({ backbones, adapters: existsSync(adapters) ? adapters : undefined });
}
