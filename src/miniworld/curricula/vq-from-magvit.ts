/**
 * A look-up-free tokenizer as one with a codebook: the signs of b channels are the nearest of the 2^b corners of a cube,
 * by distance and by angle alike, so MAGVIT-v2's layers and a codebook of corners give the same codes and the same
 * images. Janus mini and Chameleon mini start from Show-o mini's trained tokenizer in this way.
 */
import { tf } from '../../engine';
import type { MagvitTokenizer } from '../../models/showo/image-tokenizer';
import { codebookEntries } from '../../models/showo/lfq';
import type { VqganConfig } from '../../nn/vqgan';

/** What is used of a store. */
type Numbers = { readonly variables: Readonly<Record<string, tf.Variable>> };

/**
 * Puts a MAGVIT-v2 tokenizer's weights into a VQGAN. Blocks that only the VQGAN has are set to pass their input on.
 * @param to the VQGAN's numbers
 * @param prefix of its names
 * @param config of the VQGAN: the widths of the MAGVIT-v2 tokenizer, whose bits are `embed_dim` and `z_channels`
 * @throws RangeError when a layer of the MAGVIT-v2 tokenizer has no place of its shape in the VQGAN
 */
export function vqFromMagvit(to: Numbers, prefix: string, config: VqganConfig, from: MagvitTokenizer): void {
  const bits = from.config.codebook_dim;
  if (config.n_embed !== from.codebookSize || config.embed_dim !== bits)
    throw new RangeError(
      `${from.codebookSize} codes of ${bits} bits need a codebook [${from.codebookSize},${bits}], this one is [${config.n_embed},${config.embed_dim}]`,
    );
  const levels = config.ch_mult.length;
  const filled = new Set<string>();
  const put = (name: string, value: tf.Tensor) => {
    const variable = (to.variables as Partial<typeof to.variables>)[name];
    if (variable?.shape.join() !== value.shape.join())
      throw new RangeError(`${name}: [${value.shape}] was expected, the VQGAN has [${variable?.shape ?? 'none'}]`);
    variable.assign(value);
    filled.add(name);
  };
  tf.tidy(() => {
    // Entries of length 1 instead of the corners themselves: the first layer that reads them makes up for it.
    const scale = config.l2_norm ? Math.sqrt(bits) : 1;
    for (const [name, variable] of Object.entries(from.parameters.variables)) {
      const value = name === 'decoder.post_quant_conv.weight' ? tf.mul(variable, scale) : variable;
      put(prefix + vqganName(name, levels, config.first_up), value);
    }
    const codes = Array.from({ length: config.n_embed }, (_, code) => code);
    const corners = codebookEntries(codes, bits);
    put(`${prefix}quantize.embedding.weight`, corners);
    for (const [name, variable] of Object.entries(to.variables))
      if (name.startsWith(prefix) && !filled.has(name) && /\.(conv2|proj_out)\.(weight|bias)$/.test(name))
        variable.assign(tf.zerosLike(variable));
  });
}

/** What taming-transformers calls a layer of MAGVIT-v2. */
function vqganName(name: string, levels: number, firstUp: VqganConfig['first_up']): string {
  const plain = name.replace(/^(encoder\.quant_conv|decoder\.post_quant_conv)/, (at) => at.slice(at.indexOf('.') + 1));
  if (firstUp !== 'coarsest') return plain;
  return plain.replace(/^decoder\.up\.(\d+)/, (_, level: string) => `decoder.up.${levels - 1 - Number(level)}`);
}
