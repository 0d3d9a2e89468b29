/** DINOv2: tokens at every depth, other image sizes, cosines between images. */
import { Dinov2 } from '../../../src/models/scorers/dinov2';
import type { Check } from './check';
import { visionChecks } from './vision';

export async function* parity(folder: string): AsyncGenerator<Check, void, undefined> {
  yield* visionChecks(folder, await Dinov2.fromPretrained(folder));
}
