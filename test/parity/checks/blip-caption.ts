/** BLIP's captioner: vision tower, decoder, loss, greedy captions with and without a prompt, cached and not. */
import { readValues, tf } from '../../../src/engine';
import { BlipCaptioner } from '../../../src/models/scorers/blip-caption';
import { type Check, same } from './check';
import { compare, compareShown, intRows, images, readFixture, tokenRows } from './expert-fixture';

const TOLERANCE = 1e-4;

export async function* parity(
  folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const { inputs, expected } = await readFixture(folder);
  const model = await BlipCaptioner.fromPretrained(folder);
  const pixels = images(inputs.pixel_values);
  try {
    const seen = model.vision(pixels);
    for (const [name, tensor] of [
      ['vision_last_hidden_state', seen.lastHiddenState],
      ['vision_pooler_output', seen.poolerOutput],
    ] as const)
      yield compare(expected, 'vision', name, tensor.dataSync(), TOLERANCE);
    tf.dispose([seen.lastHiddenState, seen.poolerOutput]);

    const rows = tokenRows(inputs);
    const logits = readValues(() => model.logits(pixels, rows));
    yield compareShown(expected, 'decoder', 'decoder_logits', logits, TOLERANCE, rows.mask);
    const loss = readValues(() => model.loss(pixels, rows, inputs.labels && intRows(inputs.labels)));
    yield compare(expected, 'decoder', 'decoder_loss', loss, TOLERANCE);

    const widths = [expected.caption_ids, expected.caption_ids_prompt].map((raw) => raw.shape[1]);
    const { maxlen = Math.max(...widths) } = (description.options ?? {}) as { maxlen?: number };
    const steps: number[] = [];
    const onStep = (all: Float32Array) => steps.push(...all.subarray(0, model.config.text.vocab_size));
    yield sameRows('caption_ids', model.generate(pixels, { maxLength: maxlen, onStep }), intRows(expected.caption_ids));
    const known = expected.caption_step_logits_row0.shape.reduce((a, b) => a * b, 1);
    yield compare(expected, 'caption', 'caption_step_logits_row0', steps.slice(0, known), TOLERANCE);
    const prompt = { ids: intRows(inputs.prompt_ids) };
    const prompted = model.generate(pixels, { maxLength: maxlen, prompt });
    yield sameRows('caption_ids_prompt', prompted, intRows(expected.caption_ids_prompt));
    const uncached = model.generate(pixels, { maxLength: maxlen, prompt, cache: false });
    yield sameRows('caption_ids_prompt, no cache', uncached, intRows(expected.caption_ids_prompt));
  } finally {
    pixels.dispose();
    model.dispose();
  }
}

function sameRows(quantity: string, got: readonly number[][], expected: readonly Int32Array[]): Check {
  const want = expected.flatMap((row) => Array.from(row));
  return same('caption', quantity, got.flat(), want);
}
