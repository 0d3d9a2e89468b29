import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { startEngine, Rng, tf } from '../../src/engine';
import { ImageProcessor, type Image } from '../../src/io';
import { Clip, clipConfigFromUpstream } from '../../src/models/scorers/clip';
import { Dinov2, dinov2ConfigFromUpstream } from '../../src/models/scorers/dinov2';
import { vitConfigFromUpstream } from '../../src/models/scorers/vit';
import { clipImageSimilarity, clipTextSimilarity, dinoSimilarity, pickScore } from '../../src/rewards';
import { sampleOf } from './sample';
import { dinoName } from '../../src/rewards/dino-similarity';
import { memoize } from '../../src/rewards/image-features';
import { ClipTokenizer } from '../../src/text/clip-bpe';

const small = { hidden_size: 24, intermediate_size: 32, num_hidden_layers: 2, num_attention_heads: 2 };

function image(seed: number, width = 20, height = 16): Image {
  const values = new Rng(seed).uniform(width * height * 3);
  return { width, height, rgb: Uint8Array.from(values, (v) => Math.floor(256 * v)) };
}

const broken: Image = { width: 20, height: 16, rgb: new Uint8Array(5) };

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, v, i) => sum + v * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

describe('CLIP-I, CLIP-T, PickScore and DINO similarity', () => {
  let clip: Clip;
  let dino: Dinov2;
  before(async () => {
    await startEngine({ precision: 'float32', quiet: true });
    const names = [...'abcdefgh'].flatMap((letter) => [letter, `${letter}</w>`]);
    const tokens = [...names, '<|startoftext|>', '<|endoftext|>'];
    const model = {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.map((token, i) => [token, i])),
      merges: [],
      unk_token: '<|endoftext|>',
      end_of_word_suffix: '</w>',
    };
    const json = {
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'WhitespaceSplit' },
      post_processor: null,
      decoder: { type: 'ByteLevel' },
      model,
    };
    const tokenizer = ClipTokenizer.of(json, ['<|startoftext|>', '<|endoftext|>'], 'a small vocabulary', false);
    const text = { ...small, vocab_size: tokens.length, max_position_embeddings: 12, eos_token_id: tokens.length - 1 };
    clip = Clip.random(
      clipConfigFromUpstream(
        { text_config: text, vision_config: { ...small, image_size: 16, patch_size: 8 }, projection_dim: 12 },
        'config.json',
      ),
      new Rng(1),
      { tokenizer, processor: ImageProcessor.fromUpstream({ size: 16, crop_size: 16 }, 'CLIP', 'CLIP') },
    );
    dino = Dinov2.random(
      dinov2ConfigFromUpstream({ ...small, image_size: 28 }, 'config.json'),
      new Rng(2),
      ImageProcessor.fromUpstream({ size: 28, crop_size: 28 }, 'Bit', 'Bit'),
    );
  });

  it('are the cosines of the model, references averaged, broken samples told apart', async () => {
    const [a, b, c] = [image(1), image(2, 30, 40), image(3)];
    const samples = [
      { image: a, references: [b, c] },
      { image: b, references: [b] },
      { image: broken, references: [a] },
      { image: a, references: [broken, c] },
      { image: a, references: [] },
    ];
    const start = tf.memory().numTensors;
    for (const [scorer, vectors] of [
      [clipImageSimilarity(clip), await clip.embedImages([a, b, c])],
      [dinoSimilarity(dino), await dino.embed([a, b, c])],
    ] as const) {
      const results = await scorer(samples.map(sampleOf));
      const [va, vb, vc] = vectors;
      assert.ok(Math.abs(results[0].value - (cosine(va, vb) + cosine(va, vc)) / 2) < 1e-5);
      assert.ok(Math.abs(results[1].value - 1) < 1e-6);
      assert.deepEqual([results[2].value, results[4].value], [NaN, NaN]);
      assert.match(results[2].reason ?? '', /broken: 20 x 16 with 5 bytes/);
      assert.match(results[4].reason ?? '', /nothing to compare with/);
      assert.ok(Math.abs(results[3].value - cosine(va, vc)) < 1e-5);
      assert.deepEqual(scorer.range, [-1, 1]);
    }
    assert.equal(tf.memory().numTensors, start);
  });

  it('hold images against texts, each with its own', async () => {
    const samples = [
      { image: image(1), text: 'ab c' },
      { image: image(2), text: 'd' },
      { image: image(1), text: '  ' },
      { image: broken, text: 'd' },
    ];
    const images = await clip.embedImages(samples.slice(0, 2).map((s) => s.image));
    const texts = await clip.embedTexts(samples.slice(0, 2).map((s) => s.text));
    const plain = await clipTextSimilarity(clip)(samples.map(sampleOf));
    const picked = await pickScore(clip, { divideBy: 26 })(samples.map(sampleOf));
    for (const i of [0, 1]) {
      const expected = cosine(images[i], texts[i]);
      assert.ok(Math.abs(plain[i].value - expected) < 1e-5);
      assert.ok(Math.abs(picked[i].value - (clip.scale * expected) / 26) < 1e-5);
      assert.ok(Math.abs((picked[i].parts?.cosine ?? NaN) - expected) < 1e-5);
    }
    assert.notEqual(plain[0].value, plain[1].value);
    for (const results of [plain, picked]) {
      assert.match(results[2].reason ?? '', /text is empty/);
      assert.match(results[3].reason ?? '', /broken/);
      assert.ok(Number.isNaN(results[2].value) && Number.isNaN(results[3].value));
    }
    const [low, high] = pickScore(clip).range;
    assert.ok(high > 14 && low === -high);
    assert.throws(() => pickScore(clip, { divideBy: 0 }), /cannot be divided by 0/);
  });

  it('carry the published name only for the published shape', () => {
    assert.equal(clipImageSimilarity(clip).name, 'clip_i_vit_24x2_p8');
    assert.equal(pickScore(clip).name, 'pickscore_vit_24x2_p8');
    assert.equal(dinoSimilarity(dino).name, 'dinov2_vit_24x2_p14');
    assert.equal(dinoSimilarity(dino, { name: 'mine' }).name, 'mine');
    const openai = { ...clip, config: clipConfigFromUpstream({}, 'config.json') } as unknown as Clip;
    assert.deepEqual([clipImageSimilarity(openai).name, clipTextSimilarity(openai).name], ['clip_i', 'clip_t']);
    const vits16 = { hidden_size: 384, num_attention_heads: 6, intermediate_size: 1536 };
    assert.equal(dinoName({ config: vitConfigFromUpstream(vits16, 'config.json') }), 'dino_vits16');
    const large = { hidden_size: 1024, num_hidden_layers: 24, num_attention_heads: 16 };
    assert.equal(dinoName({ config: dinov2ConfigFromUpstream(large, 'config.json') }), 'dinov2_large');
    assert.equal(dinoName({ config: vitConfigFromUpstream({}, 'config.json') }), 'dino_vitb16');
  });

  it('embed a reference once, however many samples share it', async () => {
    let count = 0;
    const embed = memoize(async (images) => {
      count += images.length;
      return images.map(({ rgb }) => Float32Array.of(rgb[0]));
    });
    const [a, b] = [image(1), image(2)];
    await embed([a]);
    assert.deepEqual(await embed([b, a]), [Float32Array.of(b.rgb[0]), Float32Array.of(a.rgb[0])]);
    assert.equal(count, 2);
  });
});
