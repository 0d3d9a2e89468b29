import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { readValues, startEngine, Rng, tf } from '../../../src/engine';
import { readSafetensors, writeSafetensors, type Image } from '../../../src/io';
import { Clip, type ClipConfig, clipConfigFromUpstream } from '../../../src/models/scorers/clip';
import { ClipNetwork } from '../../../src/models/scorers/clip/towers';
import { pickScores } from '../../../src/models/scorers/clip/pick-score';
import { parameterCount } from '../../../src/nn/store';
import { ClipTokenizer } from '../../../src/text/clip-bpe';
import { writeCheckpoint } from './checkpoint';

const json = {
  model_type: 'clip',
  projection_dim: 10,
  text_config: {
    vocab_size: 20,
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    max_position_embeddings: 8,
    eos_token_id: 19,
  },
  vision_config: {
    hidden_size: 18,
    intermediate_size: 30,
    num_hidden_layers: 2,
    num_attention_heads: 3,
    image_size: 12,
    patch_size: 4,
    hidden_act: 'gelu',
  },
};
const words = ['l', 'o', 'w', 'e', 'r', 'l</w>', 'o</w>', 'w</w>', 'e</w>', 'r</w>', 'lo', 'low</w>', 'er</w>'];
const folders: string[] = [];

function image(width: number, height: number, seed: number): Image {
  const values = new Rng(seed).uniform(width * height * 3);
  return { width, height, rgb: Uint8Array.from(values, (v) => Math.floor(256 * v)) };
}

/** A folder as users have it: weights, image processor, vocabulary. */
async function clipFolder(): Promise<string> {
  const made = Clip.random(clipConfigFromUpstream(json, 'config.json'), new Rng(1));
  const folder = await writeCheckpoint(made.parameters, json);
  made.dispose();
  folders.push(folder);
  const filler = Array.from({ length: 5 }, (_, i) => `filler${i}`);
  const tokens = [...words, ...filler, '<|startoftext|>', '<|endoftext|>'];
  const files = {
    'vocab.json': JSON.stringify(Object.fromEntries(tokens.map((token, i) => [token, i]))),
    'merges.txt': '#version: 0.2\nl o\nlo w</w>\ne r</w>\n',
    'preprocessor_config.json': JSON.stringify({ image_processor_type: 'CLIPImageProcessor', size: 12, crop_size: 12 }),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text);
  return folder;
}

describe('CLIP', () => {
  before(async () => {
    await startEngine({ precision: 'float32', quiet: true });
  });
  after(async () => {
    for (const folder of folders) await rm(folder, { recursive: true });
  });

  it('reads sparse configurations and those of former versions', () => {
    const bare = clipConfigFromUpstream({}, 'config.json');
    assert.deepEqual([bare.text.hidden, bare.vision.hidden, bare.text.end, bare.projection], [512, 768, 49407, 512]);
    assert.equal(bare.vision.activation, 'quick_gelu');
    const old = clipConfigFromUpstream(
      {
        text_config: { hidden_size: 640, eos_token_id: 2 },
        text_config_dict: { hidden_size: 768, num_attention_heads: 12 },
      },
      'config.json',
    );
    // The dictionary's own defaults stand over text_config, too.
    assert.deepEqual([old.text.hidden, old.text.heads, old.text.end], [768, 12, 49407]);
    assert.equal(clipConfigFromUpstream({ ...json, text_config_dict: null }, 'config.json').text.hidden, 16);
    assert.throws(
      () => clipConfigFromUpstream({ text_config: { hidden_size: -1 }, vision_config: 7, model_type: 'vit' }, 'x.json'),
      (error: Error) =>
        ['x.json', 'text_config.hidden_size is -1', 'vision_config is 7', 'model_type is "vit"'].every((part) =>
          error.message.includes(part),
        ),
    );
  });

  it("has the published models' parameters", () => {
    const count = (config: ClipConfig): number => parameterCount(new ClipNetwork(config));
    assert.equal(count(clipConfigFromUpstream({}, 'config.json')), 151_277_313); // OpenAI's ViT-B/32
    const huge = {
      projection_dim: 1024,
      text_config: { hidden_size: 1024, intermediate_size: 4096, num_attention_heads: 16, num_hidden_layers: 24 },
      vision_config: {
        hidden_size: 1280,
        intermediate_size: 5120,
        num_attention_heads: 16,
        num_hidden_layers: 32,
        patch_size: 14,
      },
    };
    assert.equal(count(clipConfigFromUpstream(huge, 'config.json')), 986_109_441); // PickScore's ViT-H/14
  });

  it('gives a text one vector, however it is padded and whatever stands beside it', () => {
    const clip = Clip.random(clipConfigFromUpstream(json, 'config.json'), new Rng(2));
    const text = [18, 3, 4, 5, 19];
    const one = readValues(() => clip.textEmbeds({ ids: [text] }));
    const padded = [...text, 19, 19, 19];
    const mask = [1, 1, 1, 1, 1, 0, 0, 0];
    const other = [18, 7, 7, 7, 7, 7, 7, 19];
    const both = readValues(() => clip.textEmbeds({ ids: [padded, other], mask: [mask, mask.map(() => 1)] }));
    const unmasked = readValues(() => clip.textEmbeds({ ids: [padded, other] }));
    for (let i = 0; i < 10; i++) {
      assert.ok(Math.abs(one[i] - both[i]) < 1e-5);
      assert.ok(Math.abs(one[i] - unmasked[i]) < 1e-5);
    }
    assert.ok(Math.abs(one.reduce((sum, v) => sum + v * v, 0) - 1) < 1e-5);
    const old = { ...json, text_config: { ...json.text_config, eos_token_id: 2 } };
    const largest = Clip.random(clipConfigFromUpstream(old, 'config.json'), new Rng(2));
    assert.deepEqual(
      readValues(() => largest.textEmbeds({ ids: [text] })),
      one,
    );
    largest.dispose();
    clip.dispose();
  });

  it('says which rows and pixels do not fit', () => {
    const clip = Clip.random(clipConfigFromUpstream(json, 'config.json'), new Rng(3));
    assert.throws(() => clip.text({ ids: [[18, 3, 4]] }), /row 0 holds no end token \(19\)/);
    assert.throws(() => clip.text({ ids: [[18, 20, 19]] }), /token 20 at row 0, position 1 is outside 0..19/);
    assert.throws(() => clip.text({ ids: [Array.from({ length: 9 }, () => 19)] }), /at most 8 tokens; row 0 has 9/);
    assert.throws(
      () =>
        clip.text({
          ids: [
            [18, 19],
            [18, 3, 19],
          ],
        }),
      /row 1 has 3 entries, expected 2/,
    );
    const wide = tf.zeros<tf.Rank.R4>([1, 12, 16, 3]);
    assert.throws(() => clip.vision(wide), /expected pixels \[batch, 12, 12, 3\], got \[1,12,16,3\]/);
    const output = clip.vision(wide, { interpolatePositions: true });
    assert.deepEqual(output.lastHiddenState.shape, [1, 1 + 3 * 4, 18]);
    tf.dispose([wide, output.lastHiddenState, output.poolerOutput]);
    clip.dispose();
  });

  it('loads a folder, embeds texts and images in batches, frozen, and leaks nothing', async () => {
    const folder = await clipFolder();
    const clip = await Clip.fromPretrained(folder);
    assert.ok(Object.values(clip.parameters.variables).every((variable) => !variable.trainable));
    assert.ok(Math.abs(clip.scale - Math.exp(2.6592)) < 1e-4);
    const images = [image(30, 20, 1), image(9, 9, 2), image(12, 40, 3)];
    const texts = ['low', 'lower low', 'low '.repeat(30)];
    const start = tf.memory().numTensors;
    const [seen, read] = [await clip.embedImages(images, 2), await clip.embedTexts(texts, 2)];
    assert.equal(tf.memory().numTensors, start);
    for (const [i, text] of texts.entries()) {
      const [alone] = await clip.embedTexts([text]);
      assert.ok(alone.every((v, j) => Math.abs(v - read[i][j]) < 1e-5));
    }
    assert.notDeepEqual(read[0], read[1]);
    const logits = tf.tidy(() => {
      const table = (rows: Float32Array[]): tf.Tensor2D => tf.tensor2d(rows.map((row) => Array.from(row)));
      return clip.logitsPerImage(table(seen), table(read)).arraySync();
    });
    const { scores, probabilities } = pickScores(read[0], seen, clip.scale);
    scores.forEach((score, i) => assert.ok(Math.abs(score - logits[i][0]) < 1e-4));
    assert.ok(Math.abs(probabilities.reduce((a, b) => a + b, 0) - 1) < 1e-12);
    clip.dispose();
  });

  it('takes 16-bit weights and the buffers of former versions, and refuses a vocabulary that is too large', async () => {
    const folder = await clipFolder();
    const file = path.join(folder, 'model.safetensors');
    const tensors = await readSafetensors(file);
    const buffer = {
      dtype: 'I64' as const,
      shape: [1, 8],
      data: BigInt64Array.from({ length: 8 }, (_, i) => BigInt(i)),
    };
    await writeSafetensors(file, { ...tensors, 'text_model.embeddings.position_ids': buffer });
    const clip = await Clip.fromPretrained(folder);
    await writeSafetensors(file, clip.parameters.writable('BF16'));
    const half = await Clip.fromPretrained(folder);
    const rows = { ids: [[18, 3, 4, 19]] };
    const [full, rounded] = [clip, half].map((model) => readValues(() => model.textEmbeds(rows)));
    const worst = Math.max(...full.map((v, i) => Math.abs(v - rounded[i])));
    assert.ok(worst > 0 && worst < 0.05, `${worst}`);
    half.dispose();
    clip.dispose();
    const start = tf.memory().numTensors;
    await writeSafetensors(file, { ...tensors, 'text_model.embeddings.extra': buffer });
    await assert.rejects(Clip.fromPretrained(folder), /text_model.embeddings.extra/);
    await rm(path.join(folder, 'vocab.json'));
    await writeSafetensors(file, tensors);
    const mute = await Clip.fromPretrained(folder);
    await assert.rejects(mute.embedTexts(['low']), /no vocabulary: put tokenizer.json/);
    mute.dispose();
    const smaller = { ...json, text_config: { ...json.text_config, vocab_size: 19 } };
    const tokenizer = await ClipTokenizer.fromPretrained(await clipFolder());
    assert.throws(
      () => Clip.random(clipConfigFromUpstream(smaller, 'config.json'), new Rng(1), { tokenizer }),
      /the tokenizer has 20 tokens, this CLIP knows 19/,
    );
    assert.equal(tf.memory().numTensors, start);
  });
});

describe("PickScore's formula", () => {
  it('is a softmax of scaled cosines, safe for any scale', () => {
    const vector = fc.float32Array({ minLength: 4, maxLength: 4, min: -1, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        vector,
        fc.array(vector, { minLength: 1, maxLength: 5 }),
        fc.double({ min: 0.1, max: 1e4, noNaN: true }),
        (text, images, scale) => {
          const { scores, probabilities } = pickScores(text, images, scale);
          assert.ok(probabilities.every((p) => p >= 0 && p <= 1));
          assert.ok(Math.abs(probabilities.reduce((a, b) => a + b, 0) - 1) < 1e-9);
          const order = (list: number[]): number => list.indexOf(Math.max(...list));
          assert.equal(probabilities[order(scores)], Math.max(...probabilities));
        },
      ),
    );
    assert.throws(() => pickScores(new Float32Array(3), [new Float32Array(4)], 1), /has 4 numbers, the prompt's 3/);
  });
});
