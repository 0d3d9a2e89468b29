/** CLIP: both towers, projections, logits, PickScore's formula, cosines, and an image of another size. */
import * as path from 'node:path';
import { tf } from '../../../src/engine';
import { type RawTensor, readSafetensors, toFloat32 } from '../../../src/io';
import { Clip } from '../../../src/models/scorers/clip';
import { pickScores } from '../../../src/models/scorers/clip/pick-score';
import { type Check, close, closeOrRelative, holds } from './check';
import { toNhwc } from './vision';

const TOLERANCE = 1e-4;
const LOGITS = { absolute: 1e-3, relative: 1e-4 };
/** Numbers on the logits' scale. */
const ON_SCALE = ['logits_per_image', 'logits_per_text', 'logit_scale_exp', 'pickscore_scores'];

export async function* parity(folder: string): AsyncGenerator<Check, void, undefined> {
  const model = await Clip.fromPretrained(folder);
  try {
    const inputs = await readSafetensors(path.join(folder, 'inputs.safetensors'));
    const expected = await readSafetensors(path.join(folder, 'expected.safetensors'));
    const got = measure(model, inputs, expected.pickscore_scores?.shape[0] ?? 0);
    const left = new Set(Object.keys(expected));
    for (const [name, numbers] of Object.entries(got)) {
      if (!expected[name]) continue;
      left.delete(name);
      const [mine, theirs] = [numbers, toFloat32(expected[name])].map((values) =>
        name === 'text_last_hidden_state' ? shown(values, inputs.attention_mask) : values,
      );
      if (ON_SCALE.includes(name)) yield closeOrRelative('clip', name, mine, theirs, LOGITS.absolute, LOGITS.relative);
      else yield close('clip', name, mine, theirs, TOLERANCE);
    }
    yield holds('clip', 'numbers compared', left.size === 0, `nothing gives ${[...left].join(', ')}`);
  } finally {
    model.dispose();
  }
}

/** Everything that a fixture may ask. @param picked how many images compete for the first text */
function measure(model: Clip, inputs: Record<string, RawTensor>, picked: number): Record<string, Float32Array> {
  const out: Record<string, Float32Array> = {};
  const take = (name: string, tensor: tf.Tensor): void => {
    out[name] = tensor.dataSync<'float32'>().slice();
  };
  const rows = { ids: rowsOf(inputs.input_ids), mask: rowsOf(inputs.attention_mask) };
  tf.engine().startScope();
  try {
    const pixels = toNhwc(inputs.pixel_values);
    const text = model.text(rows);
    const vision = model.vision(pixels);
    take('text_last_hidden_state', text.lastHiddenState);
    take('text_pooler_output', text.poolerOutput);
    take('vision_last_hidden_state', vision.lastHiddenState);
    take('vision_pooler_output', vision.poolerOutput);
    take('text_features', model.textFeatures(rows));
    take('image_features', model.imageFeatures(pixels));
    const texts = model.textEmbeds(rows);
    const images = model.imageEmbeds(pixels);
    take('text_embeds', texts);
    take('image_embeds', images);
    const logits = model.logitsPerImage(images, texts);
    take('logits_per_image', logits);
    take('logits_per_text', tf.transpose(logits));
    take('logit_scale', model.parameters.get('logit_scale'));
    out.logit_scale_exp = Float32Array.of(model.scale);
    take('cosine_image_image', tf.matMul(images, images, false, true));
    take('cosine_text_image', tf.matMul(texts, images, false, true));
    const vectors = (tensor: tf.Tensor2D): Float32Array[] => tensor.arraySync().map((row) => Float32Array.from(row));
    const { scores, probabilities } = pickScores(vectors(texts)[0], vectors(images).slice(0, picked), model.scale);
    out.pickscore_scores = Float32Array.from(scores);
    out.pickscore_probs = Float32Array.from(probabilities);
    if (inputs.pixel_values_big)
      take(
        'vision_big_pooler_output',
        model.vision(toNhwc(inputs.pixel_values_big), { interpolatePositions: true }).poolerOutput,
      );
    return out;
  } finally {
    tf.engine().endScope();
  }
}

/** Only the rows of `[batch, tokens, hidden]` whose mask is 1: what stands at padding is nobody's. */
function shown(values: Float32Array, mask: RawTensor): Float32Array {
  const flags = toFloat32(mask);
  const width = values.length / flags.length;
  return values.filter((_, i) => flags[Math.floor(i / width)] === 1);
}

function rowsOf(raw: RawTensor): Float32Array[] {
  const [count, length] = raw.shape;
  const flat = toFloat32(raw);
  return Array.from({ length: count }, (_, i) => flat.slice(i * length, (i + 1) * length));
}
