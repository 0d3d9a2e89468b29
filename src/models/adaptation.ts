/**
 * Training large models in little memory, as options that recipes share: adapters learn while the base stands still
 * (LoRA), and blocks are computed again for the gradient.
 */
import path from 'node:path';
import * as z from 'zod';
import type { Rng } from '../engine';
import { group, option } from '../io/options';
import { saveAdapters } from '../nn/adapter-files';
import { canAdapt } from './abilities';
import { loadModel } from './load';
import type { UnifiedModel } from './unified';

const lora = { paper: 'LoRA (Hu et al. 2021)' };

/** Recipes spread it into their own options. */
export const adaptationShape = {
  adapters: group(
    {
      enabled: option(z.boolean(), false, 'Adapters learn, and the weights under them stand still.', lora),
      rank: option(z.int().positive(), 8, 'Rank of the change of a layer.', lora),
      alpha: option(z.number().positive().nullable(), null, 'The change is scaled by alpha / rank; null: by 1.', lora),
      targets: option(
        z.array(z.string()).min(1).nullable(),
        null,
        "Layers' names or their last parts; null: the projections of the language model's attention.",
      ),
      base: option(z.enum(['BF16', 'F32']), 'BF16', 'What the weights under them are kept in.'),
    },
    'LoRA.',
  ),
  gradientCheckpointing: option(
    z.boolean(),
    false,
    'Blocks are computed again for the gradient: memory and speed alone.',
    { paper: 'Chen et al. 2016' },
  ),
};
export type AdaptationOptions = z.output<z.ZodObject<typeof adaptationShape>>;

/** What the weights of a run are loaded as. */
export const storageOf = ({ adapters }: AdaptationOptions): 'F32' | 'BF16' =>
  adapters.enabled ? adapters.base : 'F32';

/**
 * Puts adapters around a model and has its blocks computed again, as the options ask.
 * @throws Error for a model that can do neither; see {@link AdaptableModel.addAdapters}
 */
export function adapt(model: UnifiedModel, { adapters, gradientCheckpointing }: AdaptationOptions, rng: Rng): void {
  const { enabled, rank, alpha, targets } = adapters;
  if (!enabled && !gradientCheckpointing) return;
  if (!canAdapt(model))
    throw new Error(`${model.modelType} has neither adapters nor gradient checkpointing: leave both options off`);
  if (gradientCheckpointing) model.gradientCheckpointing = true;
  if (enabled) model.addAdapters({ rank, alpha: alpha ?? undefined, targets: targets ?? undefined }, rng);
}

/** Loads a checkpoint as {@link adapt} and its options want it. */
export async function loadAdapted(folder: string, options: AdaptationOptions, rng: Rng): Promise<UnifiedModel> {
  const model = await loadModel(folder, { dtype: storageOf(options) });
  try {
    adapt(model, options, rng);
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** Where a run leaves its model. */
export const modelFolder = (run: string): string => path.join(run, 'model');

/** What a run leaves when it has learned: `FOLDER/model`, as `loadModel` reads it, with a subject's tokens; and its adapters. */
export async function keepModel(model: UnifiedModel, folder: string): Promise<void> {
  await keepAdapters(model, folder);
  // float32: what a step changes is often less than bfloat16 can hold.
  await model.savePretrained(modelFolder(folder), { dtype: 'F32' });
}

/** What a run leaves of its adapters, in PEFT's files in `FOLDER/adapters`; without any, nothing. */
export async function keepAdapters(model: UnifiedModel, folder: string): Promise<void> {
  if (canAdapt(model) && model.adapters) await saveAdapters(model.adapters, path.join(folder, 'adapters'));
}
