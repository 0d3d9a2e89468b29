/** The models whose published sizes `unilab bench --model` measures, by name. */
import { type JanusConfig, JANUS_PRO_1B } from '../../models/janus/config';
import { janusSpecs } from '../../models/janus/model';
import type { ParameterSpec } from '../../nn/parameters';

export interface LargeModel {
  readonly config: JanusConfig;
  /** What is built, in words. */
  readonly part: string;
  readonly specs: Readonly<Record<string, ParameterSpec>>;
}

/** Janus' language model with its head: what decodes tokens. */
function languageOf(config: JanusConfig): LargeModel {
  const isLanguage = (name: string) => name.startsWith('model.language_model.') || name.startsWith('lm_head.');
  const specs = Object.fromEntries(Object.entries(janusSpecs(config)).filter(([name]) => isLanguage(name)));
  return { config, part: 'language model', specs };
}

/** Janus-Pro-1B's shape at a hundredth of its size: to see that everything works. */
const JANUS_SMALL: JanusConfig = {
  ...JANUS_PRO_1B,
  text: {
    ...JANUS_PRO_1B.text,
    vocab_size: 12800,
    hidden_size: 256,
    intermediate_size: 704,
    num_hidden_layers: 6,
    num_attention_heads: 8,
    num_key_value_heads: 8,
    head_dim: 32,
  },
  tokens: { bos: 0, eos: 1, pad: 2, image: 3, boi: 4, eoi: 5 },
  vision: { ...JANUS_PRO_1B.vision, projection_dim: 256 },
  vq: { ...JANUS_PRO_1B.vq, projection_dim: 256, image_token_embed_dim: 256 },
};

const MODELS: Readonly<Record<string, () => LargeModel>> = {
  'janus-pro-1b': () => languageOf(JANUS_PRO_1B),
  'janus-small': () => languageOf(JANUS_SMALL),
};

/** The names of all models. */
export const LARGE_MODELS: readonly string[] = Object.keys(MODELS);

/** @throws RangeError for a name that is not among {@link LARGE_MODELS} */
export function largeModel(name: string): LargeModel {
  if (Object.hasOwn(MODELS, name)) return MODELS[name]();
  throw new RangeError(`there is no model '${name}'; there are ${LARGE_MODELS.join(', ')}`);
}
