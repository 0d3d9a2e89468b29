/**
 * Where training starts: rows of image codes that share bits start close together. A look-up-free code is a string of
 * bits (MAGVIT-v2, Sec. 3.1), but a plain random table treats 4,096 codes as 4,096 strangers, and what is learned of a
 * shape in one colour says nothing about its codes in another.
 */
import { Stream, tf } from '../../engine';
import type { ShowoModel } from './model';

/**
 * Replaces the input and output rows of the image codes: `std` times a unit-variance sum over the code's bits, plus
 * noise that tells every code apart. Trained tables are as free as before; only the start differs.
 * @param share of the variance that the bits carry, in [0, 1]. Default 0.8
 */
export function startCodesFromBits(model: ShowoModel, stream: Stream, share = 0.8, std = 0.02): void {
  const { codebook_size: codes, hidden_size: width } = model.config;
  const bits = Math.log2(codes);
  if (!Number.isInteger(bits)) throw new RangeError(`${codes} codes are not all strings of some number of bits`);
  for (const name of ['showo.model.embed_tokens.weight', 'showo.lm_head.weight']) {
    const variable = model.parameters.get(name);
    const draws = stream.fork(name);
    const directions = draws.fork('bits').fill('normal', bits * width);
    const noise = draws.fork('noise').fill('normal', codes * width);
    const scale = std * Math.sqrt(share / bits);
    for (let code = 0; code < codes; code++) {
      for (let j = 0; j < width; j++) {
        let sum = 0;
        for (let k = 0; k < bits; k++) sum += (code >> k) & 1 ? directions[k * width + j] : -directions[k * width + j];
        noise[code * width + j] = sum * scale + noise[code * width + j] * std * Math.sqrt(1 - share);
      }
    }
    tf.tidy(() => {
      const from = model.vocabulary.imageOffset;
      const rows = variable as tf.Variable<tf.Rank.R2>;
      const before = tf.slice(rows, [0, 0], [from, -1]);
      const after = tf.slice(rows, [from + codes, 0], [-1, -1]);
      rows.assign(tf.concat([before, tf.tensor2d(noise, [codes, width]), after], 0));
    });
  }
}
