import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readValues, startEngine, Rng, tf } from '../../../src/engine';
import { fromTensor, readSafetensors, toTensor, writeSafetensors } from '../../../src/io';
import { JANUS_PRO_1B, JanusConfigError, imageCodes, visionTokens } from '../../../src/models/janus/config';
import { generationIds, unconditionalIds, understandingIds } from '../../../src/models/janus/layout';
import { JanusModel } from '../../../src/models/janus/model';
import { JanusLayers } from '../../../src/models/janus/network';
import { expectedTensors } from '../../../src/nn/store';
import {
  janusConfigFromTransformers,
  janusConfigToTransformers,
} from '../../../src/models/janus/upstream/transformers-config';
import { descriptionText, JANUS_SYSTEM, plainText, questionText } from '../../../src/text/chat/janus';
import { fixtureModel, PARITY, WORDS } from './fixture';

let model: JanusModel;
let tied: JanusModel;

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  [model, tied] = [await fixtureModel('janus'), await fixtureModel('janus_tied')];
});
after(() => [model, tied].forEach((one) => one.dispose()));

const folder = () => mkdtempSync(path.join(tmpdir(), 'unilab-janus-'));
const readJson = (...parts: string[]) =>
  JSON.parse(readFileSync(path.join(...parts), 'utf8')) as Record<string, unknown>;

describe('checkpoints', () => {
  test('saved and loaded again: bit for bit in F32, to bf16 rounding in BF16, whole and in shards', async () => {
    for (const one of [model, tied]) {
      for (const [dtype, shardBytes, tolerance] of [
        ['F32', undefined, 0],
        ['F32', 300_000, 0],
        ['BF16', undefined, 1 / 256],
      ] as const) {
        const place = folder();
        await one.savePretrained(place, { dtype, shardBytes });
        assert.equal(existsSync(path.join(place, 'model.safetensors.index.json')), shardBytes !== undefined);
        const again = await JanusModel.fromPretrained(place, { tokenizer: WORDS });
        assert.deepEqual(again.config, one.config);
        const [old, fresh] = [await one.network.store.values(), await again.network.store.values()];
        assert.deepEqual(Object.keys(fresh).sort(), Object.keys(old).sort());
        for (const name of Object.keys(old)) {
          const worst = old[name].data.reduce(
            (most, v, i) => Math.max(most, Math.abs(v - fresh[name].data[i]) / (Math.abs(v) || 1)),
            0,
          );
          assert.ok(worst <= tolerance, `${name}: ${worst}`);
        }
        again.dispose();
      }
    }
  });

  test('upstream names out: the saved file holds the tensors that upstream wrote, tied ones once', async () => {
    for (const [name, one] of [
      ['janus', model],
      ['janus_tied', tied],
    ] as const) {
      const place = folder();
      await one.savePretrained(place, { dtype: 'F32' });
      const theirs = await readSafetensors(path.join(PARITY, name));
      const ours = await readSafetensors(place);
      assert.deepEqual(Object.keys(ours).sort(), Object.keys(theirs).sort());
      for (const key of Object.keys(theirs)) assert.deepEqual(ours[key], theirs[key], key);
      assert.equal('lm_head.weight' in ours, name === 'janus');
      const [config, upstream] = [readJson(place, 'config.json'), readJson(PARITY, name, 'config.json')];
      assert.equal(config.image_token_id, upstream.image_token_id);
      const text = upstream.text_config as Record<string, unknown>;
      for (const field of ['hidden_size', 'head_dim', 'rope_parameters', 'num_key_value_heads', 'bos_token_id'])
        assert.deepEqual((config.text_config as Record<string, unknown>)[field], text[field], field);
    }
  });

  test('every tensor that is unknown, missing or of another shape is listed, in one error', async () => {
    const place = folder();
    cpSync(path.join(PARITY, 'janus'), place, { recursive: true });
    const raw = await readSafetensors(path.join(PARITY, 'janus'));
    const held = Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, toTensor(value)]));
    const tensors = Object.fromEntries(Object.entries(held).map(([name, tensor]) => [name, fromTensor(tensor)]));
    delete tensors['model.language_model.norm.weight'];
    delete tensors['model.generation_head.vision_head.bias'];
    const strange = tf.zeros([2, 3]);
    await writeSafetensors(path.join(place, 'model.safetensors'), {
      ...tensors,
      'model.aligner.fc1.weight': fromTensor(strange),
      'model.extra.weight': fromTensor(strange),
    });
    await assert.rejects(
      JanusModel.fromPretrained(place, { tokens: { boi: 501, eoi: 502 }, tokenizer: WORDS }),
      (error: Error) => {
        assert.equal(error.name, 'CheckpointMismatchError');
        for (const part of [
          place,
          'missing: model.language_model.norm.weight [64]',
          'missing: model.generation_head.vision_head.bias [32]',
          'model.aligner.fc1.weight: expected [64,32], found [2,3]',
          'unknown: model.extra.weight [2,3]',
        ])
          assert.ok(error.message.includes(part), `${part} in ${error.message}`);
        return true;
      },
    );
    strange.dispose();
    tf.dispose(held);
  });

  test('damage and absence are said with the file', async () => {
    const place = folder();
    await assert.rejects(JanusModel.fromPretrained(path.join(place, 'nowhere')), /config\.json is missing/);
    await tied.savePretrained(place, { dtype: 'F32' });
    rmSync(path.join(place, 'tokenizer.json'));
    await assert.rejects(JanusModel.fromPretrained(place), /tokenizer\.json could not be read/);
    truncateSync(path.join(place, 'model.safetensors'), 20_000);
    await assert.rejects(JanusModel.fromPretrained(place, { tokenizer: WORDS }), /model\.safetensors/);
    writeFileSync(path.join(place, 'config.json'), '{');
    await assert.rejects(JanusModel.fromPretrained(place, { tokenizer: WORDS }), /config\.json is no JSON/);
  });

  test('saving that fails leaves the old checkpoint whole', async () => {
    const place = folder();
    await tied.savePretrained(place, { dtype: 'F32' });
    const before = readFileSync(path.join(place, 'model.safetensors'));
    const broken = await fixtureModel('janus_tied');
    broken.network.store.variables['model.language_model.norm.weight'].dispose();
    await assert.rejects(broken.savePretrained(place, { dtype: 'F32' }));
    assert.ok(before.equals(readFileSync(path.join(place, 'model.safetensors'))));
    assert.deepEqual(
      readdirSync(place).filter((name) => name.includes('partial')),
      [],
    );
    for (const [name, variable] of Object.entries(broken.network.store.variables))
      if (name !== 'model.language_model.norm.weight') variable.dispose();
  });
});

describe('configuration', () => {
  const upstream = () => readJson(PARITY, 'janus', 'config.json') as Record<string, Record<string, unknown>>;
  const given = { boi: 501, eoi: 502 };

  test('older files are read too; special tokens are found where upstream keeps them', () => {
    const json = upstream();
    const { rope_parameters: _, ...text } = json.text_config;
    const old = { ...json, text_config: { ...text, rope_theta: 5e5, rope_scaling: null }, torch_dtype: 'bfloat16' };
    const config = janusConfigFromTransformers(old, 'config.json', {
      generation: { generation_kwargs: { boi_token_id: 501 } },
      named: { '<end_of_image>': 502 },
    });
    assert.equal(config.text.rope_theta, 5e5);
    assert.deepEqual(config.tokens, { bos: 1, eos: 2, pad: 3, image: 500, boi: 501, eoi: 502 });
    const files = janusConfigToTransformers(config, 'float32');
    assert.deepEqual(
      janusConfigFromTransformers(files.config, 'config.json', { generation: files.generation }),
      config,
    );
  });

  test('what cannot be built is named', () => {
    const wrong = (part: string, field: string, value: unknown) => ({
      ...upstream(),
      [part]: { ...upstream()[part], [field]: value },
    });
    for (const [json, message] of [
      [{ ...upstream(), model_type: 'showo' }, /model_type is "showo", expected "janus"/],
      [{ ...upstream(), vq_config: null }, /vq_config is null, expected an object/],
      [wrong('vision_config', 'use_qk_norm', true), /use_qk_norm is true, which cannot be built/],
      [wrong('vision_config', 'num_attention_heads', 5), /hidden_size 32 is not divisible by num_attention_heads 5/],
      [wrong('vision_config', 'num_image_tokens', 17), /num_image_tokens is 17; images of 32 in patches of 8 give 16/],
      [
        wrong('vision_config', 'projection_dim', 48),
        /vision_config.projection_dim is 48, expected text_config.hidden_size 64/,
      ],
      [wrong('vision_config', 'hidden_act', 'mish'), /vision_config.hidden_act 'mish' is not known/],
      [wrong('vq_config', 'double_latent', true), /double_latent is true/],
      [wrong('vq_config', 'channel_multiplier', 3), /channel_multiplier is 3, expected a list of numbers/],
      [wrong('vq_config', 'base_channels', 33), /vq_config: image tokenizer: .*33/],
      [{ ...upstream(), image_token_id: 4000 }, /the image token is 4000, expected an id below vocab_size 512/],
    ] as const) {
      assert.throws(
        () => janusConfigFromTransformers(json, 'config.json', { given }),
        (error: Error) => error instanceof JanusConfigError && message.test(error.message),
        String(message),
      );
    }
    assert.throws(
      () => janusConfigFromTransformers(upstream(), 'c'),
      /the id of the boi token stands neither there, nor/,
    );
  });

  test('Janus-Pro-1B: the language model has the published 1,652,656,128 parameters in 219 tensors', () => {
    const specs = Object.entries(expectedTensors(new JanusLayers(JANUS_PRO_1B)));
    const language = specs.filter(([name]) => /language_model|lm_head/.test(name));
    assert.equal(language.length, 219);
    assert.equal(
      language.reduce((sum, [, { shape }]) => sum + shape.reduce((a, b) => a * b, 1), 0),
      1_652_656_128,
    );
    assert.deepEqual([visionTokens(JANUS_PRO_1B), imageCodes(JANUS_PRO_1B)], [576, 576]);
  });
});

describe('layouts', () => {
  test('questions, text, images, dropped conditions', () => {
    const { config } = model;
    const placeholders = new Array<number>(16).fill(500);
    assert.deepEqual(understandingIds(config, [[7], 'image', [8, 9]]), [1, 7, 501, ...placeholders, 502, 8, 9]);
    assert.deepEqual(understandingIds(config, [[4]]), [1, 4]);
    assert.deepEqual(generationIds(config, [4, 5]), [1, 4, 5, 501]);
    assert.deepEqual(unconditionalIds(config, [1, 4, 5, 501]), [1, 3, 3, 501]);
    assert.throws(
      () => generationIds(config, new Array<number>(250).fill(4)),
      /252 tokens and 16 codes to come; this model has 256/,
    );
  });

  test('the conversation that Janus-Pro was trained with', () => {
    assert.equal(descriptionText('a cat'), '<|User|>: a cat\n\n<|Assistant|>:');
    assert.equal(plainText('why ?', 'be brief'), 'be brief\n\n<|User|>: why ?\n\n<|Assistant|>:');
    const { before: start, after: end } = questionText('what is it ?');
    assert.equal(start + end, `${JANUS_SYSTEM}\n\n<|User|>: \nwhat is it ?\n\n<|Assistant|>:`);
  });
});

describe('forward passes', () => {
  test('wrong shapes are said with both', () => {
    const { network } = model;
    const pixels = tf.zeros<tf.Rank.R4>([1, 16, 32, 3]);
    assert.throws(() => network.imageFeatures(pixels), /needs pixels \[images, 32, 32, 3\], got \[1,16,32,3\]/);
    pixels.dispose();
    assert.throws(() => network.embedInputs([[1, 2], [1]]), /row 1 has 1 tokens, row 0 has 2/);
    assert.throws(() => network.embedInputs([[]]), /tokens were expected, there are none/);
    assert.throws(() => network.codeIds([[32]]), /image code 32 at 0 of row 0 is outside 0..31/);
    assert.throws(() => model.imageTokenizer.decode([[1, 2, 3]]), /image 0 has 3 codes; 4 x 4 were expected/);
    assert.throws(() => model.imageTokenizer.decode([], [2, 8]), /the grid is 2 x 8; this tokenizer has 4 x 4/);
  });

  test('an image goes in at its placeholders: another image gives other logits behind it, none before it', () => {
    const { network } = model;
    const row = understandingIds(model.config, [[7, 6], 'image', [8, 9, 10]]);
    const logits = (seed: number) =>
      readValues(() => {
        const pixels = tf.tensor4d(new Rng(seed).normal(32 * 32 * 3), [1, 32, 32, 3]);
        const hidden = network.hidden(network.embed(network.embedInputs([row], 16), network.imageFeatures(pixels)));
        return network.textLogits(tf.reshape(hidden, [row.length, -1]));
      });
    const [a, b] = [logits(1), logits(2)];
    const differs = row.map((_, t) => a.slice(t * 512, (t + 1) * 512).some((v, i) => v !== b[t * 512 + i]));
    assert.deepEqual(
      differs,
      row.map((_, t) => t > 3),
    );
  });

  test('codes of pixels, pixels of codes: nothing leaks', () => {
    const start = tf.memory().numTensors;
    const pixels = tf.tensor4d(new Rng(4).normal(2 * 32 * 32 * 3), [2, 32, 32, 3]);
    const codes = model.imageTokenizer.encodePixels(pixels);
    const back = model.imageTokenizer.decode(codes.arraySync());
    assert.deepEqual(
      [codes.shape, back.shape],
      [
        [2, 16],
        [2, 32, 32, 3],
      ],
    );
    tf.dispose([pixels, codes, back]);
    assert.equal(tf.memory().numTensors, start);
  });
});
