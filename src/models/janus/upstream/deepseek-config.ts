/** `config.json` of deepseek's own repository (`model_type: multi_modality`), to our configuration and back. */
import { llamaConfigFromUpstream, llamaConfigToUpstream } from '../../../nn/llama-config';
import {
  checkJanusConfig,
  type JanusConfig,
  JanusConfigError,
  type JanusVisionConfig,
  type JanusVqConfig,
} from '../config';
import { Fields, type Json, part, type TokenSources, tokensOf } from './transformers-config';

/** Sizes of the vision towers that the original knows by name. */
const TOWERS: Readonly<Record<string, Json>> = {
  siglip_large_patch16_384: { patch_size: 16, width: 1024, layers: 24, heads: 16, mlp_ratio: 4 },
  siglip_so400m_patch14_384: { patch_size: 14, width: 1152, layers: 27, heads: 16, mlp_ratio: 3.7362 },
  siglip_so400m_patch14_224: { patch_size: 14, width: 1152, layers: 27, heads: 16, mlp_ratio: 3.7362 },
};

/** The image tokenizer that the original knows as VQ-16. */
const VQ_16: Json = {
  ch: 128,
  ch_mult: [1, 1, 2, 2, 4],
  num_res_blocks: 2,
  z_channels: 256,
  beta: 0.25,
  norm_groups: 32,
};

/** What stands in a small model's `cls` or `model_name`: every size is said. */
const OWN = 'custom';

/**
 * Reads the original's configuration. It names the vision tower and the image tokenizer instead of saying their sizes;
 * sizes that stand in their `params` nevertheless (as {@link janusConfigToDeepseek} writes them for models that have no
 * name) go first.
 * @param where said in errors: the file
 * @throws JanusConfigError or LlamaConfigError naming the field, what was found and what was expected
 */
export function janusConfigFromDeepseek(json: Json, where: string, sources: TokenSources = {}): JanusConfig {
  const textJson = part(json, where, 'language_config');
  const text = llamaConfigFromUpstream(textJson, `${where}: language_config`);
  const vision = visionOf(json, where);
  const config: JanusConfig = {
    text,
    vision,
    vq: vqOf(json, where, vision),
    tokens: tokensOf(json, textJson, where, sources),
  };
  checkJanusConfig(config);
  return config;
}

/** The file, for saving. Special tokens, which the original's tokenizer says, stand in it too. */
export function janusConfigToDeepseek({ text, vision, vq, tokens }: JanusConfig, dtype: string): Json {
  const projector = { projector_type: 'mlp_gelu', ...(vq.hidden_act === 'gelu' ? {} : { hidden_act: vq.hidden_act }) };
  return {
    architectures: ['MultiModalityCausalLM'],
    model_type: 'multi_modality',
    torch_dtype: dtype,
    language_config: { ...llamaConfigToUpstream(text), model_type: 'llama' },
    vision_config: { cls: 'CLIPVisionTower', model_type: 'vision', params: towerParams(vision) },
    aligner_config: {
      cls: 'MlpProjector',
      model_type: 'aligner',
      params: {
        depth: vision.depth,
        input_dim: vision.hidden_size,
        n_embed: vision.projection_dim,
        projector_type: 'mlp_gelu',
      },
    },
    gen_vision_config: codesConfig(vq, vision),
    gen_aligner_config: {
      cls: 'MlpProjector',
      model_type: 'gen_aligner',
      params: { depth: vq.num_hidden_layers, input_dim: vq.embed_dim, n_embed: vq.projection_dim, ...projector },
    },
    gen_head_config: {
      cls: 'vision_head',
      model_type: 'gen_head',
      params: {
        image_token_embed: vq.projection_dim,
        image_token_size: vq.num_embeddings,
        n_embed: vq.image_token_embed_dim,
      },
    },
    bos_token_id: tokens.bos,
    eos_token_id: tokens.eos,
    pad_token_id: tokens.pad,
    image_token_id: tokens.image,
    boi_token_id: tokens.boi,
    eoi_token_id: tokens.eoi,
  };
}

/** A tower that has a name is said by its name alone, another by its sizes. */
function towerParams(vision: JanusVisionConfig): Json {
  const { patch_size, mlp_ratio, layer_norm_eps, attention_bias, num_channels, hidden_act } = vision;
  const { hidden_size: width, num_hidden_layers: layers, num_attention_heads: heads } = vision;
  const tower = { patch_size, width, layers, heads, mlp_ratio };
  const rest = { layer_norm_eps, attention_bias, num_channels, hidden_act };
  const isPlain = layer_norm_eps === 1e-6 && attention_bias && num_channels === 3 && hidden_act === 'gelu';
  const name = isPlain ? Object.entries(TOWERS).find(([, sizes]) => same(sizes, tower))?.[0] : undefined;
  const params = { image_size: vision.image_size, select_feature: 'same', select_layer: -1 };
  return name ? { ...params, model_name: name } : { ...params, model_name: OWN, ...tower, ...rest };
}

/** The same for the image tokenizer. */
function codesConfig(vq: JanusVqConfig, vision: JanusVisionConfig): Json {
  const { num_res_blocks, beta, norm_groups, base_channels: ch, channel_multiplier: ch_mult, latent_channels } = vq;
  const coder = { ch, ch_mult, num_res_blocks, z_channels: latent_channels, beta, norm_groups };
  const isVq16 = same(coder, VQ_16) && vq.num_patches * vision.patch_size === vision.image_size && !vq.cell_encoder;
  const sizes = { ...coder, num_patches: vq.num_patches, ...(vq.cell_encoder ? { cell_encoder: true } : {}) };
  const params = { image_token_size: vq.num_embeddings, n_embed: vq.embed_dim, ...(isVq16 ? {} : sizes) };
  return { cls: isVq16 ? 'VQ-16' : OWN, model_type: 'gen_vision', params };
}

function visionOf(json: Json, where: string): JanusVisionConfig {
  const given = paramsOf(json, where, 'vision_config');
  const name = given.model_name;
  const sizes = typeof name === 'string' && Object.hasOwn(TOWERS, name) ? TOWERS[name] : undefined;
  if (!sizes && name !== OWN)
    throw new JanusConfigError(
      `${where}: vision_config.params.model_name is ${JSON.stringify(name)}; there are ${Object.keys(TOWERS).join(', ')}`,
    );
  const read = new Fields({ ...sizes, ...withoutNulls(given) }, `${where}: vision_config.params`);
  const aligner = projectorOf(json, where, 'aligner_config');
  const layers = read.number('layers');
  // -1 is the last layer, -2 the one before it; 3 the third.
  const select = read.number('select_layer', -1);
  return {
    hidden_size: read.number('width'),
    image_size: read.number('image_size', 384),
    patch_size: read.number('patch_size'),
    num_channels: read.number('num_channels', 3),
    num_hidden_layers: Math.min(layers, select <= 0 ? layers + select + 1 : select),
    num_attention_heads: read.number('heads'),
    mlp_ratio: read.number('mlp_ratio'),
    layer_norm_eps: read.number('layer_norm_eps', 1e-6),
    hidden_act: read.text('hidden_act', 'gelu'),
    attention_bias: read.flag('attention_bias', true),
    depth: aligner.number('depth', 1),
    projection_dim: aligner.number('n_embed'),
  };
}

function vqOf(json: Json, where: string, vision: JanusVisionConfig): JanusVqConfig {
  const cls = part(json, where, 'gen_vision_config').cls;
  if (cls !== 'VQ-16' && cls !== OWN)
    throw new JanusConfigError(`${where}: gen_vision_config.cls is ${JSON.stringify(cls)}, expected "VQ-16"`);
  const read = new Fields(
    { ...VQ_16, ...withoutNulls(paramsOf(json, where, 'gen_vision_config')) },
    `${where}: gen_vision_config.params`,
  );
  const aligner = projectorOf(json, where, 'gen_aligner_config');
  const head = new Fields(paramsOf(json, where, 'gen_head_config'), `${where}: gen_head_config.params`);
  return {
    embed_dim: read.number('n_embed'),
    num_embeddings: read.number('image_token_size'),
    latent_channels: read.number('z_channels'),
    num_patches: read.number('num_patches', Math.floor(vision.image_size / vision.patch_size)),
    in_channels: vision.num_channels,
    out_channels: vision.num_channels,
    base_channels: read.number('ch'),
    channel_multiplier: read.numbers('ch_mult', []),
    num_res_blocks: read.numberOrNumbers('num_res_blocks', 2),
    num_hidden_layers: aligner.number('depth', 1),
    hidden_act: aligner.text('hidden_act', 'gelu'),
    projection_dim: aligner.number('n_embed'),
    image_token_embed_dim: head.number('n_embed'),
    beta: read.number('beta'),
    norm_groups: read.number('norm_groups'),
    ...(read.flag('cell_encoder', false) ? { cell_encoder: true } : {}),
  };
}

function paramsOf(json: Json, where: string, name: string): Json {
  return part(part(json, where, name), `${where}: ${name}`, 'params');
}

/** Null says nothing, and must not stand before what is known. */
function withoutNulls(json: Json): Json {
  return Object.fromEntries(Object.entries(json).filter(([, value]) => value !== null));
}

/** The parameters of an aligner, which must be of the kind that is built. */
function projectorOf(json: Json, where: string, name: string): Fields {
  const params = paramsOf(json, where, name);
  if (params.projector_type !== 'mlp_gelu')
    throw new JanusConfigError(
      `${where}: ${name}.params.projector_type is ${JSON.stringify(params.projector_type)}, expected "mlp_gelu"`,
    );
  return new Fields(params, `${where}: ${name}.params`);
}

function same(a: object, b: object): boolean {
  const text = (value: object) => JSON.stringify(Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1)));
  return text(a) === text(b);
}
