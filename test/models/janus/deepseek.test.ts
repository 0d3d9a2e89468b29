import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readValues, startEngine, Rng } from '../../../src/engine';
import { openSafetensors, readSafetensors, toFloat32, type WritableTensor, writeSafetensors } from '../../../src/io';
import { JANUS_PRO_1B, type JanusConfig } from '../../../src/models/janus/config';
import { JanusModel } from '../../../src/models/janus/model';
import { JanusLayers } from '../../../src/models/janus/network';
import { expectedTensors } from '../../../src/nn/store';
import { janusConfigFromDeepseek, janusConfigToDeepseek } from '../../../src/models/janus/upstream/deepseek-config';
import { fromDeepseekName, toDeepseekName } from '../../../src/models/janus/upstream/deepseek-weights';
import { nextCodeLogits, nextTextLogits, questions, prompts, WORDS } from './fixture';

const TINY: JanusConfig = {
  text: {
    ...JANUS_PRO_1B.text,
    vocab_size: 160,
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 4,
    max_position_embeddings: 64,
  },
  vision: {
    ...JANUS_PRO_1B.vision,
    hidden_size: 12,
    image_size: 8,
    patch_size: 4,
    num_hidden_layers: 2,
    num_attention_heads: 3,
    projection_dim: 16,
    depth: 3,
  },
  vq: {
    ...JANUS_PRO_1B.vq,
    embed_dim: 3,
    num_embeddings: 10,
    latent_channels: 4,
    num_patches: 2,
    base_channels: 4,
    channel_multiplier: [1, 2, 2],
    num_res_blocks: 1,
    norm_groups: 2,
    projection_dim: 16,
    image_token_embed_dim: 16,
  },
  tokens: { bos: 0, eos: 1, pad: 2, image: 150, boi: 151, eoi: 152 },
};

/** As deepseek's repository publishes Janus-Pro-1B; the special tokens stand in the tokenizer. */
const PUBLISHED = {
  aligner_config: {
    cls: 'MlpProjector',
    model_type: 'aligner',
    params: { depth: 2, input_dim: 1024, n_embed: 2048, projector_type: 'mlp_gelu' },
  },
  architectures: ['MultiModalityCausalLM'],
  gen_aligner_config: {
    cls: 'MlpProjector',
    model_type: 'gen_aligner',
    params: { depth: 2, input_dim: 8, n_embed: 2048, projector_type: 'mlp_gelu' },
  },
  gen_head_config: {
    cls: 'vision_head',
    model_type: 'gen_head',
    params: { image_token_embed: 2048, image_token_size: 16384, n_embed: 2048 },
  },
  gen_vision_config: { cls: 'VQ-16', model_type: 'gen_vision', params: { image_token_size: 16384, n_embed: 8 } },
  language_config: {
    hidden_size: 2048,
    intermediate_size: 5632,
    max_position_embeddings: 16384,
    model_type: 'llama',
    num_attention_heads: 16,
    num_hidden_layers: 24,
    num_key_value_heads: 16,
    torch_dtype: 'bfloat16',
    vocab_size: 102400,
  },
  model_type: 'multi_modality',
  vision_config: {
    cls: 'CLIPVisionTower',
    model_type: 'vision',
    params: { image_size: 384, model_name: 'siglip_large_patch16_384', select_feature: 'same', select_layer: -1 },
  },
};
const NAMED = {
  '<｜begin▁of▁sentence｜>': 100000,
  '<｜end▁of▁sentence｜>': 100001,
  '<｜▁pad▁｜>': 100002,
  '<image_placeholder>': 100581,
  '<begin_of_image>': 100016,
  '<end_of_image>': 100593,
};

const root = mkdtempSync(path.join(tmpdir(), 'unilab-test-'));
const folder = path.join(root, 'deepseek');
let model: JanusModel;
before(async () => {
  await startEngine({ precision: 'float32' });
  model = JanusModel.random(TINY, WORDS, new Rng(1));
  await model.savePretrained(folder, { dtype: 'F32', layout: 'deepseek' });
});
after(() => rmSync(root, { recursive: true, force: true }));

/** The saved tensors, to be written again with changes. */
async function saved(): Promise<Record<string, WritableTensor>> {
  const tensors = await readSafetensors(folder);
  return Object.fromEntries(
    Object.entries(tensors).map(([name, raw]) => [name, { dtype: 'F32', shape: raw.shape, data: toFloat32(raw) }]),
  );
}

const load = (place: string) => JanusModel.fromPretrained(place, { tokenizer: WORDS });

/** The folder with other tensors. */
async function changed(name: string, tensors: Record<string, WritableTensor>): Promise<string> {
  const other = path.join(root, name);
  await writeSafetensors(path.join(other, 'model.safetensors'), tensors);
  writeFileSync(path.join(other, 'config.json'), readFileSync(path.join(folder, 'config.json')));
  return other;
}

describe("Janus under deepseek's own names", () => {
  test('a model that is saved and loaded again computes the same, bit for bit', async () => {
    const again = await load(folder);
    assert.deepEqual(again.config, TINY);
    assert.deepEqual(await again.network.store.values(), await model.network.store.values());
    const [prefix] = questions(model);
    assert.deepEqual(nextTextLogits(again, prefix, [3, 4]), nextTextLogits(model, prefix, [3, 4]));
    assert.deepEqual(
      nextCodeLogits(again, prompts(model)[1], [3, 4], 2),
      nextCodeLogits(model, prompts(model)[1], [3, 4], 2),
    );
    // Our own layout gives the same weights from other files.
    const ours = path.join(root, 'transformers');
    await again.savePretrained(ours, { dtype: 'F32' });
    const third = await load(ours);
    assert.deepEqual(await third.network.store.values(), await model.network.store.values());
    again.dispose();
    third.dispose();
  });

  test('the names and shapes are those of the original modules', async () => {
    const reader = await openSafetensors(folder);
    const shapes = Object.fromEntries(reader.names.map((name) => [name, [...reader.info(name).shape]]));
    await reader.close();
    const expected: Record<string, number[]> = {
      'vision_model.vision_tower.pos_embed': [1, 4, 12],
      'vision_model.vision_tower.patch_embed.proj.weight': [12, 3, 4, 4],
      'vision_model.vision_tower.blocks.1.norm1.bias': [12],
      'vision_model.vision_tower.blocks.1.attn.qkv.weight': [36, 12],
      'vision_model.vision_tower.blocks.1.attn.qkv.bias': [36],
      'vision_model.vision_tower.blocks.1.attn.proj.weight': [12, 12],
      'vision_model.vision_tower.blocks.0.mlp.fc2.weight': [12, 48],
      'vision_model.vision_tower.norm.weight': [12],
      'aligner.layers.0.weight': [16, 12],
      'aligner.layers.2.weight': [16, 16],
      'aligner.layers.4.bias': [16],
      'gen_vision_model.encoder.conv_blocks.0.res.0.conv1.weight': [4, 4, 3, 3],
      'gen_vision_model.encoder.conv_blocks.0.downsample.conv.weight': [4, 4, 3, 3],
      'gen_vision_model.encoder.conv_blocks.2.attn.0.proj_out.weight': [8, 8, 1, 1],
      'gen_vision_model.encoder.mid.0.norm1.weight': [8],
      'gen_vision_model.encoder.mid.1.q.weight': [8, 8, 1, 1],
      'gen_vision_model.encoder.mid.2.conv2.bias': [8],
      'gen_vision_model.decoder.conv_blocks.0.res.1.conv1.weight': [8, 8, 3, 3],
      'gen_vision_model.decoder.conv_blocks.0.upsample.conv.weight': [8, 8, 3, 3],
      'gen_vision_model.decoder.conv_blocks.2.res.0.nin_shortcut.weight': [4, 8, 1, 1],
      'gen_vision_model.quantize.embedding.weight': [10, 3],
      'gen_vision_model.quant_conv.weight': [3, 4, 1, 1],
      'gen_vision_model.post_quant_conv.bias': [4],
      'gen_embed.weight': [10, 3],
      'gen_aligner.layers.2.weight': [16, 16],
      'gen_head.output_mlp_projector.weight': [16, 16],
      'gen_head.vision_head.weight': [10, 16],
      'language_model.model.embed_tokens.weight': [160, 16],
      'language_model.model.layers.1.self_attn.k_proj.weight': [8, 16],
      'language_model.model.norm.weight': [16],
      'language_model.lm_head.weight': [160, 16],
    };
    assert.deepEqual(Object.fromEntries(Object.keys(expected).map((name) => [name, shapes[name]])), expected);
    const foreign = Object.keys(shapes).filter(
      (name) =>
        !/^(vision_model\.vision_tower|aligner|gen_(vision_model|aligner|head|embed)|language_model)\./.test(name),
    );
    assert.deepEqual(foreign, []);
  });

  test('names go there and back, those of the published size too', () => {
    for (const config of [TINY, JANUS_PRO_1B])
      for (const name of Object.keys(expectedTensors(new JanusLayers(config)))) {
        if (/vision_model.*[qkv]_proj/.test(name)) continue; // these lie joined
        const original = toDeepseekName(name);
        assert.notEqual(original, name);
        assert.equal(fromDeepseekName(original), name);
      }
  });

  test('of the joined matrix queries come first, then keys, then values', async () => {
    const tensors = await saved();
    const name = 'vision_model.vision_tower.blocks.0.attn.qkv.bias';
    const other = await changed('qkv', {
      ...tensors,
      [name]: { dtype: 'F32', shape: [36], data: Float32Array.from({ length: 36 }, (_, i) => i) },
    });
    const loaded = await load(other);
    ['q_proj', 'k_proj', 'v_proj'].forEach((part, i) => {
      const values = readValues(() =>
        loaded.network.store.get(`model.vision_model.encoder.layers.0.self_attn.${part}.bias`).clone(),
      );
      assert.deepEqual(
        [...values],
        Array.from({ length: 12 }, (_, k) => 12 * i + k),
      );
    });
    loaded.dispose();
  });

  test("the tower's pooling head and the count of used codes are left out; everything else that does not fit is listed", async () => {
    const tensors = await saved();
    const one = { dtype: 'F32' as const, shape: [3], data: new Float32Array(3) };
    const more = { 'vision_model.vision_tower.attn_pool.latent': one, 'gen_vision_model.quantize.codebook_used': one };
    const loaded = await load(await changed('more', { ...tensors, ...more }));
    assert.deepEqual(await loaded.network.store.values(), await model.network.store.values());
    loaded.dispose();
    const { 'gen_embed.weight': _, ...rest } = tensors;
    const bad = { ...rest, 'gen_extra.weight': one, 'vision_model.vision_tower.blocks.0.attn.qkv.bias': one };
    await assert.rejects(
      load(await changed('bad', bad)),
      /missing: model\.generation_embeddings\.weight \[10,3\][\s\S]*unknown: gen_extra\.weight/,
    );
    await assert.rejects(
      load(await changed('short', { ...tensors, 'vision_model.vision_tower.blocks.0.attn.qkv.bias': one })),
      /layers\.0\.self_attn\.q_proj\.bias: expected \[12\], found \[1\]/,
    );
  });

  test('the published configuration is that of Janus-Pro-1B', () => {
    assert.deepEqual(janusConfigFromDeepseek(PUBLISHED, 'config.json', { named: NAMED }), JANUS_PRO_1B);
    const written = janusConfigToDeepseek(JANUS_PRO_1B, 'bfloat16');
    for (const [name, fields] of Object.entries(PUBLISHED))
      if (name !== 'language_config') assert.deepEqual(written[name], fields, name);
    assert.deepEqual(janusConfigFromDeepseek(written, 'config.json'), JANUS_PRO_1B);
  });

  test('null stands for a field that is not there', () => {
    const { vision_config: vision, gen_vision_config: codes, aligner_config: aligner } = PUBLISHED;
    const nulls = {
      ...PUBLISHED,
      bos_token_id: null,
      vision_config: { ...vision, params: { ...vision.params, layers: null, width: null, layer_norm_eps: null } },
      gen_vision_config: { ...codes, params: { ...codes.params, ch: null, ch_mult: null, num_patches: null } },
      aligner_config: { ...aligner, params: { ...aligner.params, hidden_act: null } },
      language_config: { ...PUBLISHED.language_config, head_dim: null, rope_scaling: null, rms_norm_eps: null },
    };
    assert.deepEqual(janusConfigFromDeepseek(nulls, 'config.json', { named: NAMED }), JANUS_PRO_1B);
  });

  test('what cannot be built is named', () => {
    const read = (change: object) => () =>
      janusConfigFromDeepseek({ ...PUBLISHED, ...change }, 'config.json', { named: NAMED });
    const vision = (params: object) => ({
      vision_config: { params: { ...PUBLISHED.vision_config.params, ...params } },
    });
    assert.throws(read(vision({ model_name: 'clip' })), /model_name is "clip"; there are siglip_large_patch16_384/);
    assert.throws(read({ gen_vision_config: undefined }), /config\.json: gen_vision_config is undefined/);
    assert.throws(
      read({ gen_vision_config: { ...PUBLISHED.gen_vision_config, cls: 'VQ-8' } }),
      /cls is "VQ-8", expected "VQ-16"/,
    );
    assert.throws(
      read({ aligner_config: { params: { depth: 2, n_embed: 2048, projector_type: 'linear' } } }),
      /projector_type is "linear"/,
    );
    assert.throws(
      () => janusConfigFromDeepseek(PUBLISHED, 'config.json'),
      /the id of the bos token stands neither there/,
    );
    assert.equal(
      janusConfigFromDeepseek({ ...PUBLISHED, ...vision({ select_layer: -2 }) }, 'config.json', { named: NAMED }).vision
        .num_hidden_layers,
      23,
    );
  });
});
