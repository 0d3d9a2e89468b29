/**
 * DINOv2 (Oquab et al. 2024) in transformers' layout: layer scale, a GELU or SwiGLU feed-forward part, positions
 * stretched to every image's size; with registers too (Darcet et al. 2024). Its class token is the feature that DINO
 * similarity compares, its patches those of DER.
 */
import type { Rng } from '../../engine';
import { ImageProcessor } from '../../io';
import { ConfigFields } from './bert/fields';
import { isPositionIds, loadFrozen, randomFrozen } from './bert/load';
import { checkModelType, readConfigJson, readImageGrid } from './vision/config';
import { type VisionConfig, VisionNetwork } from './vision/network';
import { VisionTransformer } from './vision/transformer';

/** Names that a checkpoint with a head of its own puts before this model's. */
const PREFIXES = ['dinov2.', 'dinov2_with_registers.'];

/** Upstream's image processor for this model. */
const PROCESSOR = 'BitImageProcessor';

/**
 * Reads a DINOv2's `config.json`; absent fields have transformers' defaults.
 * @throws ScorerConfigError listing every field at fault
 */
export function dinov2ConfigFromUpstream(json: Readonly<Record<string, unknown>>, where: string): VisionConfig {
  const fields = ConfigFields.of(json, where);
  const withRegisters = json.model_type === 'dinov2_with_registers';
  if (!withRegisters) checkModelType(fields, 'dinov2');
  const hidden = fields.size('hidden_size', 768);
  const heads = fields.size('num_attention_heads', 12);
  if (hidden % heads) fields.fault(`hidden_size ${hidden} is not divisible by num_attention_heads ${heads}`);
  const gated = fields.flag('use_swiglu_ffn', false);
  const wide = Math.trunc(hidden * fields.number('mlp_ratio', 4));
  if (wide < 1) fields.fault(`mlp_ratio leaves ${wide} of ${hidden} numbers`);
  const config: VisionConfig = {
    hidden,
    heads,
    gated,
    layers: fields.size('num_hidden_layers', 12),
    // Two thirds, so that the three maps of SwiGLU have as many weights as the two of an MLP; a multiple of 8.
    intermediate: gated ? Math.ceil(Math.trunc((wide * 2) / 3) / 8) * 8 : wide,
    activation: fields.activation('hidden_act', 'gelu'),
    eps: fields.number('layer_norm_eps', 1e-6),
    qkvBias: fields.flag('qkv_bias', true),
    pooler: 'class token',
    model: 'dinov2',
    ...readImageGrid(fields, json, { image_size: 224, patch_size: 14 }),
    ...(withRegisters ? { registers: fields.size('num_register_tokens', 4) } : {}),
    ...(fields.flag('use_mask_token', true) ? { maskToken: [1, hidden] } : {}),
  };
  fields.check();
  return config;
}

export class Dinov2 extends VisionTransformer {
  /** A frozen one with random weights. @param processor default: upstream's defaults, 224 x 224 */
  static random(
    config: VisionConfig,
    rng: Rng,
    processor = ImageProcessor.fromUpstream({}, PROCESSOR, PROCESSOR),
  ): Dinov2 {
    return new Dinov2(randomFrozen(new VisionNetwork(config), rng), processor);
  }

  /**
   * Loads a folder: `config.json`, `model.safetensors` (or shards and index), and `preprocessor_config.json` where there
   * is one. A classifier on top is left out.
   * @throws ScorerConfigError, CheckpointMismatchError, ProcessorConfigError or SafetensorsError saying what does not fit
   */
  static async fromPretrained(folder: string): Promise<Dinov2> {
    const { json, file } = await readConfigJson(folder);
    const config = dinov2ConfigFromUpstream(json, file);
    const processor = await ImageProcessor.fromPretrained(folder, PROCESSOR);
    const network = await loadFrozen(folder, new VisionNetwork(config), () => ({
      rename: (name) => name.slice(PREFIXES.find((prefix) => name.startsWith(prefix))?.length ?? 0),
      ignore: (name) => isPositionIds(name) || name.startsWith('classifier.'),
    }));
    return new Dinov2(network, processor);
  }
}
