/** A whole VQGAN's configuration as taming-transformers writes it, beside the weights in `vqgan/`. */
import { attentionLevels } from '../../../nn/image-coder';
import type { VqganConfig } from '../../../nn/vqgan';
import { ChameleonConfigError, checkedVqgan, type Json, wholeNumber } from '../config';

/**
 * Reads the configuration of a whole VQGAN as taming-transformers writes it: `n_embed`, `embed_dim`, `ddconfig`.
 * @throws ChameleonConfigError naming the field
 */
export function vqganConfigFromTaming(json: Json, where: string): VqganConfig {
  const dd = json.ddconfig as Json | undefined;
  if (typeof dd !== 'object' || dd === null)
    throw new ChameleonConfigError(`${where}: ddconfig is missing: this is no VQGAN's configuration`);
  if (dd.double_z === true)
    throw new ChameleonConfigError(`${where}: double_z is true; only plain latents can be built`);
  const at = `${where}: ddconfig`;
  const ch_mult = (dd.ch_mult ?? [1, 2, 4, 8]) as number[];
  return checkedVqgan(where, {
    ch: wholeNumber(dd, at, 'ch'),
    ch_mult,
    num_res_blocks: dd.num_res_blocks as number | number[],
    z_channels: wholeNumber(dd, at, 'z_channels'),
    embed_dim: wholeNumber(json, where, 'embed_dim'),
    n_embed: wholeNumber(json, where, 'n_embed'),
    in_channels: wholeNumber(dd, at, 'in_channels', 3),
    out_ch: wholeNumber(dd, at, 'out_ch', 3),
    attn_levels: attentionLevels(wholeNumber(dd, at, 'resolution'), ch_mult.length, dd.attn_resolutions as number[]),
    mid_attention: (dd.attn_type ?? 'vanilla') === 'vanilla',
    ...(dd.norm_groups === undefined ? {} : { norm_groups: wholeNumber(dd, at, 'norm_groups') }),
    ...(dd.decoder_res_blocks === undefined ? {} : { decoder_res_blocks: dd.decoder_res_blocks as number[] }),
    ...(dd.cell_encoder === true ? { cell_encoder: true } : {}),
  });
}

/** The reverse of {@link vqganConfigFromTaming}. */
export function vqganConfigToTaming(vq: VqganConfig, resolution: number): Record<string, unknown> {
  return {
    n_embed: vq.n_embed,
    embed_dim: vq.embed_dim,
    ddconfig: {
      double_z: false,
      z_channels: vq.z_channels,
      resolution,
      in_channels: vq.in_channels ?? 3,
      out_ch: vq.out_ch ?? 3,
      ch: vq.ch,
      ch_mult: vq.ch_mult,
      num_res_blocks: vq.num_res_blocks,
      attn_resolutions: (vq.attn_levels ?? []).map((level) => resolution / 2 ** level),
      dropout: 0,
      ...((vq.mid_attention ?? true) ? {} : { attn_type: 'none' }),
      ...(vq.norm_groups === undefined ? {} : { norm_groups: vq.norm_groups }),
      ...(vq.decoder_res_blocks === undefined ? {} : { decoder_res_blocks: vq.decoder_res_blocks }),
      ...(vq.cell_encoder ? { cell_encoder: true } : {}),
    },
  };
}
