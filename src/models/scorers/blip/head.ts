/** The word head of BLIP's decoder: a map, an activation, a norm, then the words' own table turned round. */
import { tf } from '../../../engine';
import { type SafetensorsReader } from '../../../io';
import { activation } from '../../../nn/activations';
import { type Embedding, LayerNorm, Linear } from '../../../nn/layers';
import { Module, Parameter } from '../../../nn/module';
import type { BlipTextConfig } from './config';

const HEAD = 'text_decoder.cls.predictions';
const WORDS = 'text_decoder.bert.embeddings.word_embeddings.weight';

/** A projection of its own, in a file that holds one. */
export const OWN_PROJECTION = `${HEAD}.decoder.weight`;
export const HEAD_BIAS = `${HEAD}.bias`;
/** The second name of {@link HEAD_BIAS}: the same tensor where all is tied, the one that is used where nothing is. */
export const SECOND_BIAS = `${HEAD}.decoder.bias`;

/** Upstream's `cls.predictions`. */
export class WordHead extends Module<BlipTextConfig> {
  readonly transform = {
    dense: new Linear(this.config.hidden_size, this.config.hidden_size),
    LayerNorm: new LayerNorm(this.config.hidden_size, this.config.layer_norm_eps),
  };
  readonly bias = new Parameter<tf.Tensor1D>([this.config.vocab_size], { constant: 0 });
  readonly decoder: Linear;

  /** @param tiedTo the words' table, where it is the projection; default: a projection of its own */
  constructor(config: BlipTextConfig, tiedTo?: Embedding) {
    super(config);
    this.decoder = new Linear(config.hidden_size, config.vocab_size, { bias: false, tiedTo });
  }

  /** Logits `[..., vocab]` of hidden states `[..., hidden]`. */
  forward<X extends tf.Tensor>(hidden: X): X {
    const { dense, LayerNorm: norm } = this.transform;
    return tf.tidy(() => {
      const turned = activation(this.config.hidden_act)(dense.forward(hidden)) as X;
      return this.decoder.weight.product(norm.forward(turned), this.bias.value);
    });
  }
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
