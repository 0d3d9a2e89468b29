import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readValues, startEngine, Rng, tf } from '../../../src/engine';
import { type RawTensor, readSafetensors, writeSafetensors } from '../../../src/io';
import { BlipCaptioner } from '../../../src/models/scorers/blip-caption';
import { BlipMatcher } from '../../../src/models/scorers/blip-itm';
import { TINY, images, imageAt, far } from './tiny-blip';

const PARITY = path.join(__dirname, '..', '..', 'parity');
let scratch: string;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  scratch = mkdtempSync(path.join(os.tmpdir(), 'unilab-blip-'));
});
after(() => rmSync(scratch, { recursive: true }));

/** A copy of a fixture with other weights. */
async function withTensors(
  kind: string,
  name: string,
  change: (tensors: Record<string, RawTensor>) => Record<string, RawTensor>,
): Promise<string> {
  const folder = path.join(scratch, name);
  cpSync(path.join(PARITY, kind), folder, { recursive: true });
  const file = path.join(folder, 'model.safetensors');
  await writeSafetensors(file, change(await readSafetensors(file)));
  return folder;
}

describe("BLIP's captioner", () => {
  it('says the same with and without its cache, alone and beside others, and leaves no tensor', () => {
    const model = BlipCaptioner.random(TINY, new Rng(1));
    const pixels = images(3);
    const kept = tf.memory().numTensors;
    const rngs = () => [0, 1, 2].map((i) => new Rng(5).split(i));
    const options = { maxLength: 14, temperature: 1.3 };
    const cached = model.generate(pixels, { ...options, rngs: rngs() });
    assert.deepEqual(model.generate(pixels, { ...options, rngs: rngs(), cache: false }), cached);
    for (const i of [0, 1, 2]) {
      const one = imageAt(pixels, i);
      const [alone] = model.generate(one, { ...options, rngs: [rngs()[i]] });
      one.dispose();
      assert.deepEqual(model.captionTokens(alone), model.captionTokens(cached[i]));
    }
    assert.ok(new Set(cached.map(String)).size > 1, 'captions differ');
    const greedy = model.generate(pixels, { maxLength: 9 });
    assert.deepEqual(model.generate(pixels, { maxLength: 9 }), greedy);
    assert.ok(greedy.every((row) => row[0] === TINY.text.bos_token_id && row.length === greedy[0].length));
    assert.equal(tf.memory().numTensors, kept);
    assert.deepEqual(model.captionTokens([38, 5, 6, 3, 0, 0]), [5, 6]);
    assert.deepEqual(model.captionTokens([38, 5, 6]), [5, 6]);
    pixels.dispose();
    model.dispose();
  });

  it('hides the padding of a prompt, and what comes later from what comes before', () => {
    const model = BlipCaptioner.random(TINY, new Rng(2));
    const pixels = images(2);
    const logits = (ids: number[][], mask?: number[][]) => readValues(() => model.logits(pixels, { ids, mask }));
    const short = logits([
      [38, 5, 6],
      [38, 7, 8],
    ]);
    const long = logits(
      [
        [38, 5, 6, 9],
        [38, 7, 8, 2],
      ],
      [
        [1, 1, 1, 1],
        [1, 1, 1, 0],
      ],
    );
    for (const row of [0, 1]) assert.ok(far(short.slice(row * 120, (row + 1) * 120), long.slice(row * 160)) < 1e-5);
    const prompted = (ids: number[][]) => model.generate(pixels, { prompt: { ids }, maxLength: 8 });
    const rows = prompted([
      [2, 5, 3],
      [2, 7, 3],
    ]);
    assert.deepEqual(
      rows.map((row) => row.slice(0, 2)),
      [
        [38, 5],
        [38, 7],
      ],
    );
    pixels.dispose();
    model.dispose();
  });

  it('smooths labels as the definition says, and leaves -100 out', () => {
    const plain = BlipCaptioner.random(TINY, new Rng(3));
    const smooth = BlipCaptioner.random({ ...TINY, text: { ...TINY.text, label_smoothing: 0.2 } }, new Rng(3));
    const pixels = images(1);
    const rows = { ids: [[38, 5, 6, 7]] };
    const labels = [[38, 5, -100, 7]];
    const logits = readValues(() => plain.logits(pixels, rows));
    const logProbs = [0, 2].map((at) => {
      const own = Array.from(logits.slice(at * 40, at * 40 + 40));
      const total = Math.log(own.reduce((sum, z) => sum + Math.exp(z), 0));
      return own.map((z) => z - total);
    });
    const exact = -(logProbs[0][5] + logProbs[1][7]) / 2;
    const spread = -logProbs.flat().reduce((a, b) => a + b, 0) / 80;
    const loss = (model: BlipCaptioner) => readValues(() => model.loss(pixels, rows, labels))[0];
    assert.ok(Math.abs(loss(plain) - exact) < 1e-5);
    assert.ok(Math.abs(loss(smooth) - (0.8 * exact + 0.2 * spread)) < 1e-5);
    pixels.dispose();
    plain.dispose();
    smooth.dispose();
  });

  it('ties its word projection unless the file holds another one, under old names too', async () => {
    const inputs = await readSafetensors(path.join(PARITY, 'blip_caption', 'inputs.safetensors'));
    const pixels = tf.tidy(() =>
      tf.transpose(tf.tensor4d(inputs.pixel_values.data as Float32Array, [3, 3, 32, 32]), [0, 2, 3, 1]),
    );
    const words = 'text_decoder.bert.embeddings.word_embeddings.weight';
    const head = 'text_decoder.cls.predictions';
    const logitsOf = async (folder: string) => {
      const model = await BlipCaptioner.fromPretrained(folder);
      const values = readValues(() =>
        model.logits(pixels, {
          ids: [
            [5, 6],
            [7, 8],
            [9, 10],
          ],
        }),
      );
      const parameters = model.parameters.count();
      model.dispose();
      return { values, parameters };
    };
    const tied = await logitsOf(path.join(PARITY, 'blip_caption'));
    const published = await withTensors('blip_caption', 'published', ({ [`${head}.bias`]: bias, ...rest }) => ({
      ...rest,
      [`${head}.decoder.weight`]: rest[words],
      [`${head}.decoder.bias`]: bias,
      'text_decoder.bert.embeddings.position_ids': { dtype: 'I64', shape: [1, 2], data: BigInt64Array.of(0n, 1n) },
    }));
    assert.deepEqual(await logitsOf(published), tied);
    const own = await withTensors('blip_caption', 'own', (tensors) => ({
      ...tensors,
      [`${head}.decoder.weight`]: { ...tensors[words], data: (tensors[words].data as Float32Array).map((v) => -v) },
    }));
    const untied = await logitsOf(own);
    assert.equal(untied.parameters, tied.parameters + 120 * 48);
    assert.ok(far(untied.values, tied.values) > 0.1);
    const apart = await withTensors('blip_caption', 'apart', (tensors) => ({
      ...tensors,
      [`${head}.decoder.weight`]: tensors[words],
      [`${head}.decoder.bias`]: { dtype: 'F32', shape: [120], data: new Float32Array(120).fill(3) },
    }));
    const file = path.join(apart, 'config.json');
    const config = JSON.parse(readFileSync(file, 'utf8')) as { text_config: object };
    const text_config = { ...config.text_config, tie_word_embeddings: false };
    writeFileSync(file, JSON.stringify({ ...config, text_config })); // one of two: tied still
    assert.deepEqual(await logitsOf(apart), tied);
    writeFileSync(file, JSON.stringify({ ...config, text_config, tie_word_embeddings: false }));
    const fixture = await readSafetensors(path.join(PARITY, 'blip_caption', 'model.safetensors'));
    const bias = fixture[`${head}.bias`].data as Float32Array;
    const expected = tied.values.map((value, i) => value - bias[i % 120] + 3);
    assert.ok(far((await logitsOf(apart)).values, expected) < 1e-4);
    pixels.dispose();
  });

  it('reads old configurations, and lists all that is wrong with one', async () => {
    const folder = path.join(scratch, 'old');
    cpSync(path.join(PARITY, 'blip_caption'), folder, { recursive: true });
    const file = path.join(folder, 'config.json');
    const { text_config, vision_config, ...rest } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, object>;
    writeFileSync(
      file,
      JSON.stringify({
        ...rest,
        text_config_dict: text_config,
        vision_config_dict: vision_config,
        text_config: {},
        torch_dtype: 'float32',
      }),
    );
    const model = await BlipCaptioner.fromPretrained(folder);
    assert.equal(model.config.text.hidden_size, 48);
    model.dispose();
    writeFileSync(
      file,
      JSON.stringify({
        ...rest,
        text_config: { ...text_config, vocab_size: 50, hidden_size: 'wide' },
        vision_config: { ...vision_config, patch_size: 64 },
      }),
    );
    await assert.rejects(BlipCaptioner.fromPretrained(folder), (error: Error) => {
      assert.match(error.message, /text_config\.hidden_size is "wide", expected a positive integer/);
      assert.match(error.message, /text_config\.bos_token_id 118 is outside vocab_size 50/);
      assert.match(error.message, /vision_config\.patch_size 64 is larger than image_size 32/);
      return true;
    });
    await assert.rejects(BlipMatcher.fromPretrained(path.join(PARITY, 'blip_caption')), (error: Error) => {
      assert.match(error.message, /missing: text_encoder\.embeddings\.word_embeddings\.weight \[120,48\]/);
      assert.match(error.message, /unknown: text_decoder\.bert\.embeddings\.LayerNorm\.bias \[48\]/);
      assert.match(error.message, /and 49 more like these/);
      return true;
    });
  });

  it('says what does not fit', () => {
    const model = BlipCaptioner.random(TINY, new Rng(4));
    const pixels = images(2);
    assert.throws(() => model.vision(tf.zeros([1, 3, 12, 12])), /\[batch, 12, 12, 3\], got \[1,3,12,12\]/);
    assert.throws(() => model.logits(pixels, { ids: [[38]] }), /2 images and 1 rows/);
    assert.throws(() => model.logits(pixels, { ids: [[38], [40]] }), /token 40 at row 1, position 0/);
    assert.throws(() => model.generate(pixels, { maxLength: 17 }), /1 to 16 tokens, not 17/);
    assert.throws(() => model.generate(pixels, { prompt: { ids: [[2, 3]] } }), /2 images and 1 prompts/);
    assert.throws(() => model.generate(pixels, { prompt: { ids: [[2], [2]] } }), /at least two tokens/);
    assert.throws(() => model.generate(pixels, { temperature: 1 }), /2 are needed, 0 given/);
    assert.throws(() => model.generate(pixels, { temperature: -1 }), /temperature is -1/);
    assert.throws(() => model.generate(pixels, { maxLength: 1 }), /no room behind a start of 1/);
    tf.dispose(pixels);
    model.dispose();
  });
});
