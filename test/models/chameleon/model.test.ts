import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startEngine, Rng, tf } from '../../../src/engine';
import { readSafetensors, toFloat32, writeSafetensors } from '../../../src/io';
import { chameleonConfigFromUpstream, chameleonConfigToUpstream } from '../../../src/models/chameleon/config';
import { ChameleonModel } from '../../../src/models/chameleon/model';
import { vqganConfigFromTaming, vqganConfigToTaming } from '../../../src/models/chameleon/upstream/taming';
import { CheckpointMismatchError } from '../../../src/nn/checkpoint-fit';
import { PARITY, tinyModel } from './fixture';

let model: ChameleonModel;
let scratch: string;

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  model = tinyModel({ layout: 'lumina' });
  scratch = mkdtempSync(path.join(tmpdir(), 'unilab-chameleon-'));
});
after(() => {
  model.dispose();
  rmSync(scratch, { recursive: true });
});

const logitsOf = ({ network }: ChameleonModel, rows: number[][]) =>
  tf.tidy(() => network.logits(tf.reshape<tf.Rank.R2>(network.hidden(rows), [-1, 24])).dataSync());

let places = 0;
const place = () => path.join(scratch, String(places++));

async function worst(a: ChameleonModel, b: ChameleonModel): Promise<number> {
  let most = 0;
  for (const [ours, theirs] of [
    [a.store, b.store],
    [a.imageTokenizer.store, b.imageTokenizer.store],
  ] as const) {
    const [old, fresh] = [(await ours?.values()) ?? {}, (await theirs?.values()) ?? {}];
    assert.deepEqual(Object.keys(old).sort(), Object.keys(fresh).sort());
    for (const [name, { data }] of Object.entries(old))
      data.forEach((value, i) => {
        const difference = Math.abs(value - (fresh[name].data[i] ?? NaN));
        most = Math.max(most, value === 0 ? difference : difference / Math.abs(value));
      });
  }
  return most;
}

describe('checkpoints', () => {
  test('saved and loaded again: bit for bit in F32, to rounding in BF16, sharded too', async () => {
    const start = tf.memory().numTensors;
    for (const [options, tolerance] of [
      [{}, 0],
      [{ shardBytes: 20000 }, 0],
      [{ dtype: 'BF16' }, 1 / 256],
    ] as const) {
      const folder = place();
      await model.savePretrained(folder, options);
      assert.equal(readdirSync(folder).includes('model.safetensors.index.json'), 'shardBytes' in options);
      const again = await ChameleonModel.fromPretrained(folder);
      assert.deepEqual(again.config, { ...again.config, ...model.config, vq: again.config.vq });
      assert.ok((await worst(model, again)) <= tolerance);
      const rows = [[0, 30, 4, 9, 9, 13]];
      if (tolerance === 0) assert.deepEqual(logitsOf(again, rows), logitsOf(model, rows));
      again.dispose();
    }
    assert.equal(tf.memory().numTensors, start);
  });

  test("the reference's files come out as they went in: names, shapes, bits", async () => {
    const loaded = await ChameleonModel.fromPretrained(path.join(PARITY, 'chameleon_mp'));
    const folder = place();
    await loaded.savePretrained(folder);
    for (const file of ['model.safetensors', 'vqgan/model.safetensors']) {
      const before = await readSafetensors(path.join(PARITY, 'chameleon_mp', file));
      const now = await readSafetensors(path.join(folder, file));
      assert.deepEqual(Object.keys(now).sort(), Object.keys(before).sort());
      for (const [name, { shape, data }] of Object.entries(before)) {
        assert.deepEqual(now[name].shape, shape, name);
        assert.deepEqual(now[name].data, data, name);
      }
    }
    const read = (where: string) =>
      JSON.parse(readFileSync(path.join(where, 'config.json'), 'utf8')) as Record<string, unknown>;
    const upstream = read(path.join(PARITY, 'chameleon_mp'));
    const own = read(folder);
    for (const field of [
      'hidden_size',
      'swin_norm',
      'model_parallel_size',
      'num_key_value_heads',
      'rope_parameters',
      'vocabulary_map',
      'vq_config',
      'image_token_id',
      'rms_norm_eps',
      'dtype',
      'tie_word_embeddings',
    ])
      assert.deepEqual(own[field], upstream[field], field);
    assert.deepEqual(chameleonConfigFromUpstream(own, 'own'), chameleonConfigFromUpstream(upstream, 'upstream'));
    assert.deepEqual(read(path.join(folder, 'vqgan')), read(path.join(PARITY, 'chameleon_mp', 'vqgan')));
    loaded.dispose();
  });

  test('every unknown, missing and mis-shaped tensor is listed at once, of decoder and tokenizer', async () => {
    const folder = place();
    await model.savePretrained(folder);
    const file = path.join(folder, 'model.safetensors');
    const tensors = await readSafetensors(file);
    tensors.stranger = tensors['model.norm.weight'];
    tensors['model.vqmodel.encoder.other'] = tensors['model.norm.weight'];
    tensors['model.layers.0.self_attn.rotary_emb.inv_freq'] = tensors['model.norm.weight']; // a buffer: no fault
    tensors['model.layers.1.mlp.up_proj.weight'] = tensors['model.norm.weight'];
    delete tensors['lm_head.weight'];
    delete tensors['model.vqmodel.quant_conv.bias'];
    await writeSafetensors(file, tensors);
    const start = tf.memory().numTensors;
    await assert.rejects(
      () => ChameleonModel.fromPretrained(folder),
      (error: Error) =>
        error instanceof CheckpointMismatchError &&
        [
          /unknown: stranger \[24\]/,
          /unknown: model\.vqmodel\.encoder\.other/,
          /model\.layers\.1\.mlp\.up_proj\.weight: expected \[40,24\], found \[24\]/,
          /missing: lm_head\.weight \[64,24\]/,
          /missing: model\.vqmodel\.quant_conv\.bias/,
        ].every((line) => line.test(error.message)) &&
        !error.message.includes('inv_freq'),
    );
    assert.equal(tf.memory().numTensors, start);
  });

  test('without VQGAN folder it encodes only; without tokenizer it says so; Lumina-mGPT keeps the VQGAN alone', async () => {
    const folder = place();
    await model.savePretrained(folder);
    const pixels = tf.tensor<tf.Rank.R4>(new Rng(1).uniform(2 * 4 * 4 * 3), [2, 4, 4, 3]);
    const codes = model.imageTokenizer.encodePixels(pixels);
    rmSync(path.join(folder, 'vqgan', 'config.json'));
    const encoder = await ChameleonModel.fromPretrained(folder);
    assert.deepEqual(encoder.imageTokenizer.encodePixels(pixels), codes);
    assert.throws(() => encoder.imageTokenizer.decode(codes, [2, 2]), /has no decoder/);
    encoder.dispose();

    const file = path.join(folder, 'model.safetensors');
    const tensors = Object.entries(await readSafetensors(file)).filter(([name]) => !name.includes('vqmodel'));
    await writeSafetensors(file, Object.fromEntries(tensors));
    const none = await ChameleonModel.fromPretrained(folder);
    assert.throws(() => none.imageTokenizer.encodePixels(pixels), /loaded without an image tokenizer/);
    none.dispose();

    await model.savePretrained(path.join(folder, 'whole'));
    cpSync(path.join(folder, 'whole', 'vqgan'), path.join(folder, 'vqgan'), { recursive: true });
    const lumina = await ChameleonModel.fromPretrained(folder, { layout: 'lumina' });
    assert.deepEqual(lumina.imageTokenizer.encodePixels(pixels), codes);
    assert.deepEqual(
      tf.tidy(() => lumina.imageTokenizer.decode(codes, [2, 2]).shape),
      [2, 4, 4, 3],
    );
    lumina.dispose();
    pixels.dispose();
  });

  test('two image tokenizers that differ are not mixed', async () => {
    const folder = place();
    await model.savePretrained(folder);
    const file = path.join(folder, 'vqgan', 'model.safetensors');
    const tensors = await readSafetensors(file);
    const name = 'quantize.embedding.weight';
    const data = toFloat32(tensors[name]).map((value, i) => (i === 7 ? value + 1 : value));
    await writeSafetensors(file, { ...tensors, [name]: { ...tensors[name], data } });
    const start = tf.memory().numTensors;
    await assert.rejects(
      () => ChameleonModel.fromPretrained(folder),
      /another one: quantize\.embedding\.weight differs at 7/,
    );
    assert.equal(tf.memory().numTensors, start);
  });

  test('a damaged file, a foreign or an impossible configuration: said with the file', async () => {
    const folder = place();
    await assert.rejects(() => ChameleonModel.fromPretrained(folder), /config\.json cannot be read as a Chameleon/);
    await model.savePretrained(folder);
    const file = path.join(folder, 'config.json');
    const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    const changed = async (change: Record<string, unknown>, said: RegExp) => {
      writeFileSync(file, JSON.stringify({ ...config, ...change }));
      await assert.rejects(() => ChameleonModel.fromPretrained(folder), said);
    };
    await changed({ model_type: 'janus' }, /config\.json: model_type is "janus", expected "chameleon"/);
    await changed({ num_key_value_heads: 3 }, /num_attention_heads 4 is not divisible by num_key_value_heads 3/);
    await changed({ model_parallel_size: 3 }, /not divisible by model_parallel_size 3/);
    await changed({ num_hidden_layers: 3 }, /missing: model\.layers\.2\.input_layernorm\.weight/);
    await changed({ vocabulary_map: {} }, /<racm3:break> is missing/);
    await changed({ vq_config: { ...(config.vq_config as object), double_latent: true } }, /double_latent is true/);
    await changed(
      { vq_config: { ...(config.vq_config as object), base_channels: 5 } },
      /vq_config: .*multiple of norm_groups/,
    );
    await changed({ bos_token_id: 64 }, /bos_token_id is 64, expected an id below vocab_size 64/);
    await changed({ picture_layout: 'rows' }, /picture_layout is "rows"/);
    writeFileSync(file, JSON.stringify(config));
    truncateSync(path.join(folder, 'model.safetensors'), 9000);
    await assert.rejects(() => ChameleonModel.fromPretrained(folder), /model\.safetensors/);
  });
});

describe('configurations', () => {
  test('both ways to write rotary settings and data types are read', () => {
    const { rope_parameters, ...json } = chameleonConfigToUpstream({
      ...model.config,
      text: { ...model.config.text, rope_theta: 5000, rope_factor: 2 },
    });
    assert.deepEqual(rope_parameters, { rope_theta: 5000, rope_type: 'linear', factor: 2 });
    const old = { ...json, torch_dtype: 'bfloat16', rope_theta: 5000, rope_scaling: { type: 'linear', factor: 2 } };
    for (const read of [
      chameleonConfigFromUpstream({ ...json, rope_parameters }, 'new'),
      chameleonConfigFromUpstream(old, 'old'),
    ])
      assert.deepEqual([read.text.rope_theta, read.text.rope_factor], [5000, 2]);
    assert.throws(
      () => chameleonConfigFromUpstream({ ...json, rope_parameters: { rope_type: 'yarn' } }, 'c'),
      /rope_type is "yarn"/,
    );
  });

  test("absent fields have the published model's values", () => {
    const map = { ...model.config.vocabulary_map };
    const { text, vq, resolution, model_parallel_size } = chameleonConfigFromUpstream({ vocabulary_map: map }, 'c');
    const { vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_key_value_heads, head_dim } = text;
    assert.deepEqual(
      [vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_key_value_heads, head_dim],
      [65536, 4096, 11008, 32, 32, 128],
    );
    assert.deepEqual(
      [text.rms_norm_eps, text.max_position_embeddings, text.qk_norm, text.swin_norm],
      [1e-5, 4096, true, false],
    );
    assert.deepEqual(
      [vq.ch, vq.ch_mult, vq.num_res_blocks, vq.z_channels, vq.embed_dim, vq.n_embed],
      [128, [1, 1, 2, 2, 4], 2, 256, 256, 8192],
    );
    assert.deepEqual([resolution, model_parallel_size], [512, 1]);
    assert.throws(() => vqganConfigFromTaming({ n_embed: 8 }, 'v'), /v: ddconfig is missing/);
  });

  test('what transformers has no field for is written and read again, in both places', () => {
    const vq = {
      ...model.config.vq,
      num_res_blocks: [0, 1],
      decoder_res_blocks: [1, 1],
      cell_encoder: true,
      attn_levels: [1],
    };
    const json = JSON.parse(JSON.stringify(chameleonConfigToUpstream({ ...model.config, vq }))) as Record<
      string,
      unknown
    >;
    const read = chameleonConfigFromUpstream(json, 'c').vq;
    assert.deepEqual(read, { ...read, ...vq });
    const taming = JSON.parse(JSON.stringify(vqganConfigToTaming(vq, 8))) as Record<string, unknown>;
    const again = vqganConfigFromTaming(taming, 'v');
    assert.deepEqual(again, { ...again, ...vq });
  });

  test('rows of ids are checked', () => {
    assert.throws(() => model.network.hidden([[1, 2], [3]]), /row 1 has 1 tokens, row 0 has 2/);
    assert.throws(() => model.network.hidden([[1, -2]]), /id -2 at 1 of row 0 is outside 0\.\.63/);
  });
});
