/** DINO's ViT: tokens at every depth, other image sizes, cosines between images. */
import { Vit } from '../../../src/models/scorers/vit';
import type { Check } from './check';
import { visionChecks } from './vision';

export async function* parity(folder: string): AsyncGenerator<Check, void, undefined> {
  yield* visionChecks(folder, await Vit.fromPretrained(folder));
}
