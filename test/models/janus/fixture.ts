/** Tiny Januses: those of the parity fixtures, and images and prompts that they can be asked with. */
import { featureCount } from '../../../src/models/janus/network';
import path from 'node:path';
import { readValues, Rng, tf } from '../../../src/engine';
import { type Image, imagesToTensor } from '../../../src/io';
import {
  type GenerationPrompt,
  generationIds,
  unconditionalIds,
  type UnderstandingPrompt,
} from '../../../src/models/janus/layout';
import { JanusModel } from '../../../src/models/janus/model';
import type { TextTokenizer } from '../../../src/text/tokenizer';

export const PARITY = path.join(__dirname, '..', '..', 'parity');

/** Words `w7` for ids 7: the fixtures have no tokenizer. */
export const WORDS: TextTokenizer = {
  encode: (text) => text.split(' ').flatMap((word) => (word ? [Number(word.slice(1))] : [])),
  decode: (ids) => ids.map((id) => `w${id}`).join(' '),
  idOf: (token) => (/^w\d+$/.test(token) ? Number(token.slice(1)) : undefined),
  tokenOf: (id) => `w${id}`,
  vocabularySize: 100,
  unknownId: undefined,
  padId: undefined,
  json: { model: { type: 'words' } },
};

/** The fixture's model. @param name `janus` or `janus_tied`, whose head is tied and whose key-value heads are fewer */
export function fixtureModel(name: 'janus' | 'janus_tied'): Promise<JanusModel> {
  const tokens = name === 'janus' ? { boi: 501, eoi: 502 } : { boi: 151, eoi: 152 };
  return JanusModel.fromPretrained(path.join(PARITY, name), { tokens, tokenizer: WORDS });
}

/** An image of noise of the size that the model sees. */
export function noiseImage(model: JanusModel, seed: number, side = model.config.vision.image_size): Image {
  const rng = new Rng(seed);
  return { width: side, height: side, rgb: Uint8Array.from({ length: side * side * 3 }, () => rng.int(256)) };
}

/** Two questions about images, of different length, and one without an image. */
export function questions(model: JanusModel): UnderstandingPrompt[] {
  const ask = (parts: readonly (string | Image)[]) => model.prompt(parts, 'understand') as UnderstandingPrompt;
  return [
    ask(['w5', noiseImage(model, 1), 'w9 w8 w7']),
    ask([noiseImage(model, 2), 'w4 w14 w24 w34 w44 w54']),
    ask(['w10 w20 w30']),
  ];
}

/** Prompts of images, of different length. */
export function prompts(model: JanusModel): GenerationPrompt[] {
  return [
    [66, 134, 114],
    [5, 7],
    [9, 9, 9, 9, 12],
  ].map((text) => {
    return { task: 'generate', ids: generationIds(model.config, text) };
  });
}

export const ask = <P>(list: readonly P[], seed = 7) =>
  list.map((prompt, i) => ({ prompt, rng: new Rng(seed).split(i) }));

/** Logits of what follows one row, without any cache. */
export function nextTextLogits(
  { network }: JanusModel,
  prompt: UnderstandingPrompt,
  ids: readonly number[],
): Float32Array {
  return readValues(() => {
    const features = prompt.images.length > 0 ? network.imageFeatures(imagesToTensor(prompt.images)) : undefined;
    const row = [...prompt.ids, ...ids];
    const hidden = network.hidden(network.embed(network.embedInputs([row], featureCount(features)), features));
    return network.spokenLogits(tf.reshape(tf.slice(hidden, [0, row.length - 1, 0], [1, 1, -1]), [1, -1]));
  });
}

/** Guided logits of the code that follows, without any cache. */
export function nextCodeLogits(
  { network, config }: JanusModel,
  { ids: prompt }: GenerationPrompt,
  codes: readonly number[],
  scale: number,
): Float32Array {
  const of = (ids: readonly number[]) =>
    readValues(() => {
      const text = network.embed(network.embedInputs([ids]));
      const embeds = codes.length > 0 ? tf.concat([text, network.embedCodes(network.codeIds([codes]))], 1) : text;
      const hidden = network.hidden(embeds);
      return network.codeLogits(tf.reshape(tf.slice(hidden, [0, embeds.shape[1] - 1, 0], [1, 1, -1]), [1, -1]));
    });
  const [conditional, dropped] = [of(prompt), of(unconditionalIds(config, prompt))];
  return conditional.map((c, i) => dropped[i] + scale * (c - dropped[i]));
}
