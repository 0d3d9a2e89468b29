/**
 * More bits for a trained tokenizer. Few bits force the first training to find what matters most (ground, color,
 * outline); bits added afterwards start silent and learn the rest, in a fraction of the steps that all of them together
 * would need.
 */
import type { Rng } from '../../engine';
import { MagvitTokenizer, type MagvitConfig } from '../../models/showo/image-tokenizer';

/** Size of the new bits' weights into the decoder: small, so that the images hardly change at the start. */
const WHISPER = 0.02;

/**
 * A tokenizer of `config` (which differs in its number of bits alone, and has more) that encodes and decodes as
 * `narrow` does, up to a whisper of the new bits. `narrow` is unchanged.
 * @throws RangeError unless there are more bits than before
 */
export async function widenTokenizer(
  narrow: MagvitTokenizer,
  config: MagvitConfig,
  rng: Rng,
): Promise<MagvitTokenizer> {
  const [before, after] = [narrow.config.codebook_dim, config.codebook_dim];
  if (after <= before) throw new RangeError(`the tokenizer has ${before} bits already; ${after} are not more`);
  const wide = MagvitTokenizer.random(config, rng);
  const old = await narrow.parameters.values();
  const values = await wide.parameters.values();
  for (const [name, target] of Object.entries(values)) {
    const source = old[name];
    if (source.shape.join() === target.shape.join()) {
      target.data.set(source.data);
      continue;
    }
    if (name.endsWith('quant_conv.weight')) identity(target.data, after);
    else if (name === 'decoder.conv_in.weight') for (let i = 0; i < target.data.length; i++) target.data[i] *= WHISPER;
    copyBlock(source, target);
  }
  wide.parameters.assign(values);
  return wide;
}

/** New bits pass the 1 x 1 convolutions beside the encoder's and decoder's ends as they are; old ones see none of them. */
function identity(data: Float32Array, size: number): void {
  data.fill(0);
  for (let i = 0; i < size; i++) data[i * size + i] = 1;
}

/** Copies the smaller array into the corner of the larger one, over the first two axes; the others are equal. */
function copyBlock(
  source: { shape: number[]; data: Float32Array },
  target: { shape: number[]; data: Float32Array },
): void {
  const inner = source.shape.slice(2).reduce((a, b) => a * b, 1);
  const columns = source.shape.length > 1 ? source.shape[1] : 1;
  const targetColumns = target.shape.length > 1 ? target.shape[1] : 1;
  for (let row = 0; row < source.shape[0]; row++) {
    const part = source.data.subarray(row * columns * inner, (row + 1) * columns * inner);
    target.data.set(part, row * targetColumns * inner);
  }
}
