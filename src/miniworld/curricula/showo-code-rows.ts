/**
 * Rows of image codes that share bits. A look-up-free code is a string of bits (MAGVIT-v2, Sec. 3.1), but a plain table
 * treats 4,096 codes as 4,096 strangers, and what is learned of a shape in one color says nothing about its codes in
 * another. Here rows start close together when their codes do, and a part of what is learned is shared by bit; what is
 * saved are plain tables all the same.
 */
import { type Rng, tf } from '../../engine';
import { Parameters } from '../../nn/parameters';
import type { ShowoVocabulary } from '../../models/showo/config';
import type { ShowoModel } from '../../models/showo/model';

const EMBED = 'showo.model.embed_tokens.weight';
const HEAD = 'showo.lm_head.weight';

/**
 * Replaces the input and output rows of the image codes: `std` times a unit-variance sum over the code's bits, plus
 * noise that tells every code apart. Trained tables are as free as before; only the start differs.
 * @param share of the variance that the bits carry, in [0, 1]. Default 0.8
 */
export function startCodesFromBits(model: ShowoModel, rng: Rng, share = 0.8, std = 0.02): void {
  const { codebook_size: codes, hidden_size: width } = model.config;
  const bits = Math.log2(codes);
  if (!Number.isInteger(bits)) throw new RangeError(`${codes} codes are not all strings of some number of bits`);
  for (const name of [EMBED, HEAD]) {
    const variable = model.network.parameters.variables[name];
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
 * A model's parameters whose code rows are `table[code] + sum over bits of +-shared[bit]`: stands where the model's own
 * stood while it is trained. The shared rows learn from every code at once, so that a code seldom or never seen in
 * training is not left behind. Saving gives the sums, under the model's own names.
 */
export class BitSharedParameters extends Parameters {
  private readonly shared: Readonly<Record<string, tf.Variable>>;
  /** `[rows of the tables, bits]`: +-1 on the rows of codes, 0 elsewhere. */
  private readonly bits: tf.Tensor2D;

  constructor(
    private readonly base: Parameters,
    { imageOffset, size }: Pick<ShowoVocabulary, 'imageOffset' | 'size'>,
    codes: number,
  ) {
    const count = Math.log2(codes);
    if (!Number.isInteger(count)) throw new RangeError(`${codes} codes are not all strings of some number of bits`);
    const width = base.specs[EMBED].shape[1];
    const shared = Object.fromEntries(
      [EMBED, HEAD].map((name) => [name, tf.tidy(() => tf.variable(tf.zeros([count, width])))]),
    );
    super(base.specs, {
      ...base.variables,
      'code_bits.embed.weight': shared[EMBED],
      'code_bits.head.weight': shared[HEAD],
    });
    this.shared = shared;
    const signs = new Float32Array(size * count);
    for (let code = 0; code < codes; code++)
      for (let k = 0; k < count; k++) signs[(imageOffset + code) * count + k] = (code >> k) & 1 ? 1 : -1;
    this.bits = tf.tensor2d(signs, [size, count]);
  }

  override get(name: string): tf.Tensor {
    const own = this.base.get(name);
    const shared = (this.shared as Partial<typeof this.shared>)[name];
    return shared ? tf.add(own, tf.matMul(this.bits, shared as tf.Tensor2D)) : own;
  }

  override dispose(): void {
    super.dispose();
    this.bits.dispose();
  }
}
