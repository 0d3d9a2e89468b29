/** A Show-o that trains in a moment: 8 x 8 images of 16 codes, and a source that says the same few things. */
import { Rng, type tf } from '../../src/engine';
import type { ShowoConfig } from '../../src/models/showo/config';
import { MagvitTokenizer } from '../../src/models/showo/magvit';
import { ShowoModel } from '../../src/models/showo/model';
import { showoSpecs } from '../../src/models/showo/transformer';
import { Parameters } from '../../src/nn/parameters';
import { type ShowoSource, showoTask } from '../../src/sft/train-showo';

export const TINY: ShowoConfig = {
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  layer_norm_eps: 1e-5,
  rope_theta: 10000,
  partial_rotary_factor: 0.5,
  llm_vocab_size: 40,
  codebook_size: 16,
  num_vq_tokens: 16,
  bos_token_id: 1,
  eos_token_id: 1,
  max_text_len: 10,
};

export function tinyImages(): MagvitTokenizer {
  const coder = { ch: 32, ch_mult: [1, 1], num_res_blocks: [0, 1], z_channels: 4, norm_groups: 4 };
  return MagvitTokenizer.random({ encoder: coder, decoder: coder, codebook_dim: 4 }, new Rng(1));
}

export function tinyParameters(seed = 2): Parameters {
  return Parameters.random(showoSpecs(TINY), new Rng(seed));
}

export function tinyModel(parameters: Parameters = tinyParameters()): ShowoModel {
  return new ShowoModel(TINY, parameters, tinyImages());
}

const source: ShowoSource = {
  image: () => ({
    pixels: Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => (i * 37) % 256),
    caption: [5, 6, 7],
    questions: [{ question: [8, 9], answer: [10, 11] }],
  }),
  text: () => ({ text: [12, 13], questions: [{ question: [17], answer: [14, 15, 16] }] }),
};

/** Supervised training on it. */
export function tinyTask(model: ShowoModel) {
  return showoTask(model, source, { images: 2, asked: 2, questions: 1, texts: 2, size: 8 });
}

/** A copy of the numbers, by name. */
export function snapshot(variables: Readonly<Record<string, tf.Tensor>>): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.entries(variables).map(([name, x]) => [name, Float32Array.from(x.dataSync<'float32'>())]),
  );
}

/** A batch of hidden states and logits over the images' codes: what every part of the model leads to. */
export function forward(model: ShowoModel, parameters: Parameters = model.parameters): Float32Array {
  const row = Array.from({ length: TINY.max_text_len + TINY.num_vq_tokens + 2 }, (_, i) => (i * 7) % 40);
  const logits = model.imageLogits([row, row.map((id) => (id + 3) % 40)], [], 0, parameters);
  const values = logits.dataSync<'float32'>();
  logits.dispose();
  return values;
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} and ${b.length} numbers`);
  let worst = 0;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i] - b[i]));
  return worst;
}
