import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Rng, startEngine, tf } from '../../src/engine';
import type { Image } from '../../src/io';
import { Clip } from '../../src/models/scorers/clip';
import { mmR1RewardsFrom } from '../../src/rewards';
import { sampleOf } from './sample';

const PARITY = path.join(__dirname, '../parity');
const scratch = mkdtempSync(path.join(os.tmpdir(), 'unilab-mm-r1-rewards-'));
after(() => rmSync(scratch, { recursive: true }));
before(() => startEngine({ precision: 'float32', quiet: true }));

/** Letters as words; begin and end are the fixture's last two numbers. */
function tokenizerJson(): object {
  const letters = [...'abcdefghijklmnopqrstuvwxyz'].flatMap((letter) => [letter, `${letter}</w>`]);
  const fill = Array.from({ length: 97 - letters.length }, (_, i) => `unused${i}`);
  const tokens = [...letters, ...fill, '<|startoftext|>', '<|endoftext|>'];
  const vocab = Object.fromEntries(tokens.map((token, i) => [token, i]));
  const model = { type: 'BPE', vocab, merges: [], unk_token: '<|endoftext|>', end_of_word_suffix: '</w>' };
  const added = ['<|startoftext|>', '<|endoftext|>'].map((content) => ({ id: vocab[content], content, special: true }));
  const pre = { type: 'WhitespaceSplit' };
  return { added_tokens: added, normalizer: null, pre_tokenizer: pre, post_processor: null, decoder: null, model };
}

/** DreamSim of one backbone and PickScore, as small as the fixtures are. */
function folderOf(name: string): string {
  const folder = path.join(scratch, name);
  mkdirSync(path.join(folder, 'dreamsim'), { recursive: true });
  cpSync(
    path.join(PARITY, 'dreamsim', 'dino_vitb16_pretrain.safetensors'),
    path.join(folder, 'dreamsim', 'dino_vitb16.safetensors'),
  );
  cpSync(path.join(PARITY, 'clip'), path.join(folder, 'pickscore'), { recursive: true });
  const processor = { image_processor_type: 'CLIPImageProcessor', size: 32, crop_size: 32 };
  writeFileSync(path.join(folder, 'pickscore', 'preprocessor_config.json'), JSON.stringify(processor));
  writeFileSync(path.join(folder, 'pickscore', 'tokenizer.json'), JSON.stringify(tokenizerJson()));
  return folder;
}

function picture(seed: number): Image {
  const values = new Rng(seed).uniform(40 * 40 * 3);
  return { width: 40, height: 40, rgb: Uint8Array.from(values, (v) => Math.floor(256 * v)) };
}

describe("MM-R1's reward models from a folder", () => {
  it('score likeness and prompt, each under the name of what its folder holds', async () => {
    const folder = folderOf('both');
    const kept = tf.memory().numTensors;
    const rewards = await mmR1RewardsFrom(folder);
    const { similarity, text } = rewards;
    const [reference, other] = [picture(1), picture(2)];
    const samples = [
      { image: reference, references: [reference], text: 'a cat' },
      { image: other, references: [reference], text: 'a cat' },
      { references: [reference], text: 'a cat' },
    ].map(sampleOf);
    const alike = await similarity(samples);
    assert.ok(Math.abs(alike[0].value - 1) < 1e-5, `the same image: ${alike[0].value}`);
    assert.ok(alike[1].value < 1 - 1e-4);
    assert.ok(Number.isNaN(alike[2].value));
    const picked = await text(samples);
    const clip = await Clip.fromPretrained(path.join(folder, 'pickscore'));
    const [[image], [words]] = [await clip.embedImages([other]), await clip.embedTexts(['a cat'])];
    const cosine = image.reduce((sum, value, i) => sum + value * words[i], 0);
    assert.ok(Math.abs(picked[1].value - (clip.scale * cosine) / 26) < 1e-5);
    clip.dispose();
    // The fixtures are no published models, and do not pass for them.
    assert.match(similarity.name, /dreamsim/);
    assert.match(text.name, /^pickscore_vit_64x2_p8/);
    rewards.dispose();
    assert.equal(tf.memory().numTensors, kept);
  });

  it('say what is missing and what belongs there; what was loaded before is freed', async () => {
    const empty = path.join(scratch, 'empty');
    mkdirSync(empty);
    await assert.rejects(mmR1RewardsFrom(empty), /lacks\n {2}dreamsim\/: DreamSim .*\n {2}pickscore\/: PickScore/);
    const bare = folderOf('bare');
    rmSync(path.join(bare, 'dreamsim', 'dino_vitb16.safetensors'));
    await assert.rejects(mmR1RewardsFrom(bare), /has no weights; expected dino_vitb16\.safetensors/);
    const broken = folderOf('broken');
    writeFileSync(path.join(broken, 'pickscore', 'model.safetensors'), 'nothing');
    const kept = tf.memory().numTensors;
    await assert.rejects(mmR1RewardsFrom(broken), /model\.safetensors/);
    assert.equal(tf.memory().numTensors, kept);
  });
});
