/** The word head of BLIP's decoder: a map, an activation, a norm, then the words' own table turned round. */
import { linear, tf } from '../../../engine';
import { type SafetensorsReader } from '../../../io';
import { activation } from '../../../nn/activations';
import { declareLayerNorm, declareLinear, namedLayerNorm, namedLinear } from '../../../nn/encoder';
import type { ParameterSpec, Parameters } from '../../../nn/parameters';
import type { BlipTextConfig } from './config';

const HEAD = 'text_decoder.cls.predictions';
const WORDS = 'text_decoder.bert.embeddings.word_embeddings.weight';

/** A projection of its own, in a file that holds one. */
export const OWN_PROJECTION = `${HEAD}.decoder.weight`;
export const HEAD_BIAS = `${HEAD}.bias`;
/** The second name of {@link HEAD_BIAS}: the same tensor where all is tied, the one that is used where nothing is. */
export const SECOND_BIAS = `${HEAD}.decoder.bias`;

/** @param tied whether the words' table is the projection */
export function declareWordHead(specs: Record<string, ParameterSpec>, config: BlipTextConfig, tied: boolean): void {
  const { hidden_size: hidden, vocab_size: words } = config;
  declareLinear(specs, `${HEAD}.transform.dense`, hidden, hidden);
  declareLayerNorm(specs, `${HEAD}.transform.LayerNorm`, hidden);
  specs[HEAD_BIAS] = { shape: [words], init: { constant: 0 } };
  if (!tied) specs[OWN_PROJECTION] = { shape: [words, hidden], init: { normal: 0.02 } };
}

/** Logits `[..., vocab]` of hidden states `[..., hidden]`. */
export function wordLogits(p: Parameters, config: BlipTextConfig, hidden: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const turned = activation(config.hidden_act)(namedLinear(p, `${HEAD}.transform.dense`, hidden));
    const normed = namedLayerNorm(p, `${HEAD}.transform.LayerNorm`, turned, config.layer_norm_eps);
    return linear(normed, p.get(p.has(OWN_PROJECTION) ? OWN_PROJECTION : WORDS), p.get(HEAD_BIAS));
  });
}

/** Which of the two biases is left out, when a file holds both. */
export function unusedBias(names: readonly string[], tiedByConfig: boolean): string | undefined {
  if (!names.includes(HEAD_BIAS) || !names.includes(SECOND_BIAS)) return undefined;
  return tiedByConfig ? SECOND_BIAS : HEAD_BIAS;
}

/**
 * Whether a file's projection is the words' table: because it has no other (when the configuration ties them), or
 * because both hold the same numbers. Two that differ are both used, tied or not by the configuration.
 */
export async function projectionIsTied(reader: SafetensorsReader, tiedByConfig: boolean): Promise<boolean> {
  if (!reader.names.includes(OWN_PROJECTION)) return tiedByConfig;
  if (!reader.names.includes(WORDS)) return false;
  if (reader.info(OWN_PROJECTION).shape.join() !== reader.info(WORDS).shape.join()) return false;
  const [a, b] = [await reader.readFloat32(OWN_PROJECTION), await reader.readFloat32(WORDS)];
  return a.every((value, i) => value === b[i]);
}
