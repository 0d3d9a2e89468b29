/**
 * DINOv2 (Oquab et al. 2024) in transformers' layout: layer scale, a GELU or SwiGLU feed-forward part, positions
 * stretched to every image's size. Its class token is the feature that DINO similarity compares.
 */
import type { Rng } from '../../engine';
import { ImageProcessor } from '../../io';
import type { EncoderNames } from '../../nn/encoder';
import { Parameters } from '../../nn/parameters';
import { ConfigFields } from './bert/fields';
import { freeze, isPositionIds, loadFrozen } from './bert/load';
import { checkModelType, readConfigJson, readImageGrid } from './vision/config';
import { type VisionConfig, VisionTransformer, visionSpecs } from './vision/transformer';

export interface Dinov2Config extends VisionConfig {
  /** SwiGLU in place of the two-layer MLP, as in the giant model. */
  readonly gated: boolean;
}

/** Names that a checkpoint with a head of its own puts before this model's. */
const PREFIX = 'dinov2.';

/** Upstream's image processor for this model. */
const PROCESSOR = 'BitImageProcessor';

function namesOf(gated: boolean): EncoderNames {
  return {
    norm1: 'norm1',
    project: {
      query: 'attention.attention.query',
      key: 'attention.attention.key',
      value: 'attention.attention.value',
    },
    output: 'attention.output.dense',
    scales: ['layer_scale1.lambda1', 'layer_scale2.lambda1'],
    norm2: 'norm2',
    up: gated ? 'mlp.weights_in' : 'mlp.fc1',
    down: gated ? 'mlp.weights_out' : 'mlp.fc2',
    gated,
  };
}

/**
 * Reads a DINOv2's `config.json`; absent fields have transformers' defaults.
 * @throws ExpertConfigError listing every field at fault
 */
export function dinov2ConfigFromUpstream(json: Readonly<Record<string, unknown>>, where: string): Dinov2Config {
  const fields = ConfigFields.of(json, where);
  checkModelType(fields, 'dinov2');
  const hidden = fields.size('hidden_size', 768);
  const heads = fields.size('num_attention_heads', 12);
  if (hidden % heads) fields.fault(`hidden_size ${hidden} is not divisible by num_attention_heads ${heads}`);
  const gated = fields.flag('use_swiglu_ffn', false);
  const wide = Math.trunc(hidden * fields.number('mlp_ratio', 4));
  if (wide < 1) fields.fault(`mlp_ratio leaves ${wide} of ${hidden} numbers`);
  const config: Dinov2Config = {
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
    ...(fields.flag('use_mask_token', true) ? { maskToken: [1, hidden] } : {}),
  };
  fields.check();
  return config;
}

export class Dinov2 extends VisionTransformer {
  /** A frozen one with random weights. @param processor default: upstream's defaults, 224 x 224 */
  static random(
    config: Dinov2Config,
    rng: Rng,
    processor = ImageProcessor.fromUpstream({}, PROCESSOR, PROCESSOR),
  ): Dinov2 {
    const names = namesOf(config.gated);
    return new Dinov2(config, names, freeze(Parameters.random(visionSpecs(config, names), rng)), processor);
  }

  /**
   * Loads a folder: `config.json`, `model.safetensors` (or shards and index), and `preprocessor_config.json` where there
   * is one. A classifier on top is left out.
   * @throws ExpertConfigError, CheckpointMismatchError, ProcessorConfigError or SafetensorsError saying what does not fit
   */
  static async fromPretrained(folder: string): Promise<Dinov2> {
    const { json, file } = await readConfigJson(folder);
    const config = dinov2ConfigFromUpstream(json, file);
    const names = namesOf(config.gated);
    const processor = await ImageProcessor.fromPretrained(folder, PROCESSOR);
    const parameters = await loadFrozen(folder, visionSpecs(config, names), () => ({
      rename: (name) => (name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name),
      ignore: (name) => isPositionIds(name) || name.startsWith('classifier.'),
    }));
    return new Dinov2(config, names, parameters, processor);
  }
}
