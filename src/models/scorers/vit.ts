/**
 * ViT (Dosovitskiy et al. 2021) in transformers' layout: the class of DINO ViT-S/16 (Caron et al. 2021), whose class
 * token is DreamBench's DINO feature.
 */
import type { Rng } from '../../engine';
import { ImageProcessor, openSafetensors } from '../../io';
import { ConfigFields } from './bert/fields';
import { isPositionIds, loadFrozen, randomFrozen } from './bert/load';
import { checkModelType, readConfigJson, readImageGrid } from './vision/config';
import { type VisionConfig, VisionNetwork } from './vision/network';
import { VisionTransformer } from './vision/transformer';

/** Names that a checkpoint with a head of its own puts before this model's. */
const PREFIX = 'vit.';

/** Upstream's image processor for this model. */
const PROCESSOR = 'ViTImageProcessor';

/**
 * Reads a ViT's `config.json`; absent fields have transformers' defaults.
 * @param stored the names in the checkpoint: pooler and mask token are not told by the configuration
 * @throws ScorerConfigError listing every field at fault
 */
export function vitConfigFromUpstream(
  json: Readonly<Record<string, unknown>>,
  where: string,
  stored: readonly string[] = [],
): VisionConfig {
  const fields = ConfigFields.of(json, where);
  checkModelType(fields, 'vit');
  const hidden = fields.size('hidden_size', 768);
  const heads = fields.size('num_attention_heads', 12);
  if (hidden % heads) fields.fault(`hidden_size ${hidden} is not divisible by num_attention_heads ${heads}`);
  const config: VisionConfig = {
    hidden,
    heads,
    layers: fields.size('num_hidden_layers', 12),
    intermediate: fields.size('intermediate_size', 3072),
    activation: fields.activation('hidden_act', 'gelu'),
    eps: fields.number('layer_norm_eps', 1e-12),
    qkvBias: fields.flag('qkv_bias', true),
    model: 'vit',
    ...readImageGrid(fields, json, { image_size: 224, patch_size: 16 }),
    ...(stored.some((name) => name.startsWith('pooler.'))
      ? {
          pooler: {
            size: fields.size('pooler_output_size', hidden),
            activation: fields.activation('pooler_act', 'tanh'),
          },
        }
      : {}),
    ...(stored.includes('embeddings.mask_token') ? { maskToken: [1, 1, hidden] } : {}),
  };
  fields.check();
  return config;
}

export class Vit extends VisionTransformer {
  /** A frozen one with random weights. @param processor default: upstream's defaults, 224 x 224 */
  static random(
    config: VisionConfig,
    rng: Rng,
    processor = ImageProcessor.fromUpstream({}, PROCESSOR, PROCESSOR),
  ): Vit {
    return new Vit(randomFrozen(new VisionNetwork(config), rng), processor);
  }

  /**
   * Loads a folder: `config.json`, `model.safetensors` (or shards and index), and `preprocessor_config.json` where there
   * is one. A classifier on top is left out.
   * @throws ScorerConfigError, CheckpointMismatchError, ProcessorConfigError or SafetensorsError saying what does not fit
   */
  static async fromPretrained(folder: string): Promise<Vit> {
    const { json, file } = await readConfigJson(folder);
    const config = vitConfigFromUpstream(json, file, (await storedNames(folder)).map(bare));
    const processor = await ImageProcessor.fromPretrained(folder, PROCESSOR);
    const network = await loadFrozen(folder, new VisionNetwork(config), () => ({
      rename: bare,
      ignore: (name) => isPositionIds(name) || name.startsWith('classifier.'),
    }));
    return new Vit(network, processor);
  }
}

function bare(name: string): string {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
}

async function storedNames(folder: string): Promise<string[]> {
  const reader = await openSafetensors(folder);
  await reader.close();
  return reader.names;
}
