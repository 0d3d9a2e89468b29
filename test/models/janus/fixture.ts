/** Tiny Januses: those of the parity fixtures, and images and prompts that they can be asked with. */
import path from 'node:path';
import { readValues, Rng, tf } from '../../../src/engine';
import type { Image } from '../../../src/io';
import type { JanusPrefix } from '../../../src/models/janus/answers';
import { generationIds, textIds, unconditionalIds, understandingIds } from '../../../src/models/janus/layout';
import { JanusModel } from '../../../src/models/janus/model';

export const PARITY = path.join(__dirname, '..', '..', 'parity');

/** The fixture's model. @param name `janus` or `janus_tied`, whose head is tied and whose key-value heads are fewer */
export function fixtureModel(name: 'janus' | 'janus_tied'): Promise<JanusModel> {
  const tokens = name === 'janus' ? { boi: 501, eoi: 502 } : { boi: 151, eoi: 152 };
  return JanusModel.fromPretrained(path.join(PARITY, name), { tokens });
}

/** An image of noise of the size that the model sees. */
export function noiseImage(model: JanusModel, seed: number): Image {
  const side = model.config.vision.image_size;
  const rng = new Rng(seed);
  return { width: side, height: side, rgb: Uint8Array.from({ length: side * side * 3 }, () => rng.int(256)) };
}

/** Two questions about images, of different length, and one without an image. */
export function prefixes(model: JanusModel): JanusPrefix[] {
  return [
    { ids: understandingIds(model.config, [9, 8, 7], [5]), image: noiseImage(model, 1) },
    { ids: understandingIds(model.config, [4, 14, 24, 34, 44, 54]), image: noiseImage(model, 2) },
    { ids: textIds(model.config, [10, 20, 30]) },
  ];
}

/** Prompts of different length. */
export function prompts(model: JanusModel): number[][] {
  return [[66, 134, 114], [5, 7], [9, 9, 9, 9, 12]].map((text) => generationIds(model.config, text)); // prettier-ignore
}

/** Logits of what follows one row, without any cache. */
export function nextTextLogits(model: JanusModel, prefix: JanusPrefix, ids: readonly number[]): Float32Array {
  return readValues(() => {
    const { image } = prefix;
    const pixels = image && tf.sub<tf.Tensor4D>(tf.div(tf.tensor4d(Float32Array.from(image.rgb), [1, image.height, image.width, 3]), 127.5), 1); // prettier-ignore
    const row = [...prefix.ids, ...ids];
    const hidden = model.hidden(model.embed([row], pixels && model.imageFeatures(pixels)));
    return model.textLogits(tf.reshape(tf.slice(hidden, [0, row.length - 1, 0], [1, 1, -1]), [1, -1]));
  });
}

/** Guided logits of the code that follows, without any cache. */
export function nextCodeLogits(
  model: JanusModel,
  prompt: readonly number[],
  codes: readonly number[],
  scale: number,
): Float32Array {
  const of = (ids: readonly number[]) =>
    readValues(() => {
      const text = model.embed([ids]);
      const embeds = codes.length > 0 ? tf.concat([text, model.embedCodes([codes])], 1) : text;
      const hidden = model.hidden(embeds);
      return model.codeLogits(tf.reshape(tf.slice(hidden, [0, embeds.shape[1] - 1, 0], [1, 1, -1]), [1, -1]));
    });
  const [conditional, dropped] = [of(prompt), of(unconditionalIds(model.config, prompt))];
  return conditional.map((c, i) => dropped[i] + scale * (c - dropped[i]));
}
