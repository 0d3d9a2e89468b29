/** Whether early selection can be done with a model: asked when a run is opened, before anything was learned. */
import { Rng } from '../engine';
import type { ImageOptions, UnifiedModel } from '../models/unified';

/** @throws Error when candidates are to be looked at early, and the model draws code after code */
export function checkEarlySelection(
  model: UnifiedModel,
  { dsog, image }: { readonly dsog: { readonly enabled: boolean }; readonly image: ImageOptions },
): void {
  if (!dsog.enabled) return;
  const sampler = model.imageSampler([{ prompt: model.prompt([''], 'generate'), rng: new Rng(0) }], image);
  const predicts = sampler.predicted !== undefined;
  sampler.dispose();
  if (predicts) return;
  throw new Error(
    `early selection needs a model that predicts whole images at every step, which ${model.modelType} does not: set dsog.enabled=false`,
  );
}
