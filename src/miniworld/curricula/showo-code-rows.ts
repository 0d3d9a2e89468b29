/**
 * Rows of image codes that share bits. A look-up-free code is a string of bits (MAGVIT-v2, Sec. 3.1), but a plain table
 * treats 4,096 codes as 4,096 strangers, and what is learned of a shape in one color says nothing about its codes in
 * another. Here rows start close together when their codes do, and a part of what is learned is shared by bit; what is
 * saved are plain tables all the same.
 */
import { type Rng, tf } from '../../engine';
import { type ShowoConfig, showoVocabulary } from '../../models/showo/config';
import type { ShowoModel } from '../../models/showo/model';
import type { ParamStore } from '../../nn/store';
import { SumWeight } from '../../nn/weights';

const EMBED = 'showo.model.embed_tokens.weight';
const HEAD = 'showo.lm_head.weight';

/**
 * Replaces the input and output rows of the image codes: `std` times a unit-variance sum over the code's bits, plus
 * noise that tells every code apart. Trained tables are as free as before; only the start differs.
 * @param share of the variance that the bits carry, in [0, 1]. Default 0.8
 */
export function startCodesFromBits(model: ShowoModel, rng: Rng, share = 0.8, std = 0.02): void {
  const { codebook_size: codes, hidden_size: width } = model.config;
  const bits = bitsOf(codes);
  for (const name of [EMBED, HEAD]) {
    const variable = model.store.variables[name];
    const draws = rng.split(name);
    const directions = draws.split('bits').normal(bits * width);
    const noise = draws.split('noise').normal(codes * width);
    const scale = std * Math.sqrt(share / bits);
    for (let code = 0; code < codes; code++) {
      for (let j = 0; j < width; j++) {
        let sum = 0;
        for (let k = 0; k < bits; k++) sum += (code >> k) & 1 ? directions[k * width + j] : -directions[k * width + j];
        noise[code * width + j] = sum * scale + noise[code * width + j] * std * Math.sqrt(1 - share);
      }
    }
    tf.tidy(() => {
      const from = model.network.vocabulary.imageOffset;
      const rows = variable as tf.Variable<tf.Rank.R2>;
      const before = tf.slice(rows, [0, 0], [from, -1]);
      const after = tf.slice(rows, [from + codes, 0], [-1, -1]);
      rows.assign(tf.concat([before, tf.tensor2d(noise, [codes, width]), after], 0));
    });
  }
}

/**
 * A model's numbers whose code rows are `table[code] + sum over bits of +-shared[bit]`: stands where the model's own stood
 * while it is trained. The shared rows learn from every code at once, so that a code seldom or never seen in training is
 * not left behind. Saving gives the sums, under the model's own names.
 * @returns the store to be disposed in place of the one given, whose numbers it shares
 */
export function withSharedBits(store: ParamStore, config: ShowoConfig): ParamStore {
  const { codebook_size: codes } = config;
  const bits = bitsOf(codes);
  const { imageOffset, size } = showoVocabulary(config);
  // +-1 on the rows of codes, 0 elsewhere.
  const signs = new Float32Array(size * bits);
  for (let code = 0; code < codes; code++)
    for (let k = 0; k < bits; k++) signs[(imageOffset + code) * bits + k] = (code >> k) & 1 ? 1 : -1;
  return store.wrapping([EMBED, HEAD], (table) => SumWeight.sharedRows(table, tf.tensor2d(signs, [size, bits])));
}

function bitsOf(codes: number): number {
  const bits = Math.log2(codes);
  if (!Number.isInteger(bits)) throw new RangeError(`${codes} codes are not all strings of some number of bits`);
  return bits;
}
