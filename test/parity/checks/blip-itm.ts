/** BLIP's matcher: match of pairs, cosines of all, and what they are made of. */
import { readValues, tf } from '../../../src/engine';
import { BlipMatcher } from '../../../src/models/scorers/blip-itm';
import type { Check } from './check';
import { compare, compareShown, images, readFixture, tokenRows } from './expert-fixture';

const TOLERANCE = 1e-4;

export async function* parity(folder: string): AsyncGenerator<Check, void, undefined> {
  const { inputs, expected } = await readFixture(folder);
  const model = await BlipMatcher.fromPretrained(folder);
  const pixels = images(inputs.pixel_values);
  const seen = model.vision(pixels);
  try {
    const rows = tokenRows(inputs);
    const check = (group: string, quantity: string, make: () => tf.Tensor) =>
      compare(expected, group, quantity, readValues(make), TOLERANCE);
    const shown = (group: string, quantity: string, make: () => tf.Tensor) =>
      compareShown(expected, group, quantity, readValues(make), TOLERANCE, rows.mask);
    yield check('vision', 'vision_last_hidden_state', () => tf.clone(seen.lastHiddenState));
    yield check('itm', 'itm_logits', () => model.matchLogits(pixels, rows));
    yield check('itm', 'itm_probs', () => tf.softmax(model.matchLogits(pixels, rows)));
    yield shown('itm', 'itm_question_embeds', () => model.textHidden(rows, seen.lastHiddenState));
    yield shown('itc', 'itc_question_embeds', () => model.textHidden(rows));
    yield check('itc', 'image_feat', () => model.imageFeatures(pixels));
    yield check('itc', 'text_feat', () => model.textFeatures(rows));
    yield check('itc', 'itc_similarity', () => model.similarity(pixels, rows));
  } finally {
    tf.dispose([pixels, seen.lastHiddenState, seen.poolerOutput]);
    model.dispose();
  }
}
