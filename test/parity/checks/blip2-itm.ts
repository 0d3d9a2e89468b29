/** BLIP-2's matcher: match of pairs, best cosines of all, and what they are made of. */
import { readValues, tf } from '../../../src/engine';
import { Blip2Matcher } from '../../../src/models/scorers/blip2-itm';
import type { Check } from './check';
import { compare, compareShown, images, readFixture, tokenRows } from './expert-fixture';

const TOLERANCE = 1e-4;

export async function* parity(folder: string): AsyncGenerator<Check, void, undefined> {
  const { inputs, expected } = await readFixture(folder);
  const model = await Blip2Matcher.fromPretrained(folder);
  const pixels = images(inputs.pixel_values);
  const seen = model.vision(pixels);
  try {
    const rows = tokenRows(inputs);
    const check = (group: string, quantity: string, make: () => tf.Tensor) =>
      compare(expected, group, quantity, readValues(make), TOLERANCE);
    const text = readValues(() => model.textHidden(rows));
    yield check('vision', 'vision_last_hidden_state', () => tf.clone(seen.lastHiddenState));
    yield check('qformer', 'qformer_image_hidden', () => model.imageHidden(seen.lastHiddenState));
    yield compareShown(expected, 'qformer', 'qformer_text_hidden', text, TOLERANCE, rows.mask);
    yield check('itm', 'itm_logits', () => model.matchLogits(pixels, rows));
    yield check('itm', 'itm_probs', () => tf.softmax(model.matchLogits(pixels, rows)));
    yield check('itc', 'image_embeds', () => model.imageFeatures(pixels));
    yield check('itc', 'text_embeds', () => model.textFeatures(rows));
    yield check('itc', 'itc_logits_per_image', () => model.similarity(pixels, rows));
  } finally {
    tf.dispose([pixels, seen.lastHiddenState, seen.poolerOutput]);
    model.dispose();
  }
}
