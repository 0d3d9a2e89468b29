import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Rng, startEngine, tf } from '../../src/engine';
import { type Image, writeSafetensors } from '../../src/io';
import { randomFrozen } from '../../src/models/scorers/bert/load';
import { FaceNetNetwork } from '../../src/models/scorers/facenet/network';
import { ONet, PNet, RNet } from '../../src/models/scorers/mtcnn/networks';
import type { Module } from '../../src/nn/module';
import { paperRewards } from '../../src/rewards';
import { sampleOf } from './sample';

const PARITY = path.join(__dirname, '..', 'parity');

/** Words whose numbers fit the fixtures' special tokens: BLIP-2's fixture has 120, BERT's and ERNIE's 150. */
const words = (count: number) =>
  Array.from({ length: count }, (_, i) => ['[PAD]', '[UNK]', '[CLS]', '[SEP]'][i] ?? `w${i}`).join('\n');

let scratch: string;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  scratch = mkdtempSync(path.join(os.tmpdir(), 'unilab-scorers-'));
});
after(() => rmSync(scratch, { recursive: true }));

/** BLIP-2, DINOv2 and ERNIE of random weights as upstream saves them; `sentences`: another fixture in ERNIE's place. */
function folderOfScorers(name: string, sentences: 'ernie' | 'bert' = 'ernie'): string {
  const folder = path.join(scratch, name);
  const copy = (fixture: string, part: string) =>
    cpSync(path.join(PARITY, fixture), path.join(folder, part), { recursive: true });
  copy('blip2_itm', 'blip2');
  copy('dinov2', 'dinov2');
  copy(sentences, 'ernie');
  const processor = { image_processor_type: 'BlipImageProcessor', size: { height: 32, width: 32 } };
  writeFileSync(path.join(folder, 'blip2', 'preprocessor_config.json'), JSON.stringify(processor));
  writeFileSync(path.join(folder, 'blip2', 'vocab.txt'), words(120));
  writeFileSync(path.join(folder, 'ernie', 'vocab.txt'), words(150));
  return folder;
}

/** Networks without training: they find no face, but they are files of the right form. */
async function addFaceNetworks(folder: string): Promise<void> {
  const save = async (file: string, net: Module, seed: number) => {
    const { parameters } = randomFrozen(net, new Rng(seed));
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    await writeSafetensors(path.join(folder, file), parameters.writable());
    parameters.dispose();
  };
  await save('mtcnn/pnet.safetensors', new PNet(), 1);
  await save('mtcnn/rnet.safetensors', new RNet(), 2);
  await save('mtcnn/onet.safetensors', new ONet(), 3);
  await save('facenet/model.safetensors', new FaceNetNetwork({ classes: 0 }), 4);
}

const image = (seed: number): Image => ({
  width: 40,
  height: 35,
  rgb: Uint8Array.from({ length: 40 * 35 * 3 }, (_, i) => (i * seed * 37 + (i >> 5) * seed) % 256),
});

describe("the paper's reward models from a folder", () => {
  it('score an animal by the three models under the names of what the folders hold', async () => {
    const kept = tf.memory().numTensors;
    const rewards = await paperRewards(folderOfScorers('animal'), 'animal');
    assert.equal(rewards.fer, undefined);
    // The fixture is no DINOv2 of a published size, and does not pass for one.
    const names = [rewards.tier.name, rewards.ber.name, rewards.der.name];
    assert.deepEqual(names, ['tier_ernie', 'ber_blip2', 'der_dinov2_vit_64x2_p7']);
    const truth = { candidates: ['w5 w6', 'w7 w8'], correct: 0 };
    const sample = sampleOf({ image: image(3), text: 'w9 w10', completion: 'w5 w6', references: [image(3)], truth });
    const [tier] = await rewards.tier([sample]);
    assert.ok(Math.abs((tier.parts?.right ?? 0) - 1) < 1e-5, 'the right candidate, word for word');
    const [der] = await rewards.der([sample]);
    assert.ok(Math.abs(der.value - 1) < 1e-5, 'the reference itself');
    const [ber] = await rewards.ber([sample]);
    assert.ok(ber.value >= -1 && ber.value <= 1, ber.reason);
    rewards.dispose();
    assert.equal(tf.memory().numTensors, kept);
  });

  it('score a person by face, too', async () => {
    const folder = folderOfScorers('person');
    await addFaceNetworks(folder);
    const kept = tf.memory().numTensors;
    const rewards = await paperRewards(folder, 'person');
    assert.equal(rewards.fer?.name, 'fer_facenet');
    rewards.dispose();
    assert.equal(tf.memory().numTensors, kept);
  });

  it('never log a stand-in under the name of the real one: a BERT in ernie/ is tier_bert', async () => {
    const rewards = await paperRewards(folderOfScorers('stand-in', 'bert'), 'object');
    assert.equal(rewards.tier.name, 'tier_bert');
    rewards.dispose();
  });

  it('names every sub-folder that is missing, and what belongs there', async () => {
    const empty = path.join(scratch, 'empty');
    mkdirSync(path.join(empty, 'dinov2'), { recursive: true });
    await assert.rejects(paperRewards(empty, 'person'), (error: Error) => {
      assert.match(
        error.message,
        /empty lacks\n {2}blip2\/: BLIP-2 .*for BER\n {2}ernie\/: ERNIE .*for TIER\n {2}mtcnn\//,
      );
      assert.match(error.message, / {2}facenet\/: .*model\.safetensors, for FER$/);
      assert.doesNotMatch(error.message, /dinov2/);
      return true;
    });
    await assert.rejects(paperRewards(empty, 'animal'), (error: Error) => !/mtcnn|facenet/.test(error.message));
  });

  it('frees what was loaded when a later model is broken', async () => {
    const folder = folderOfScorers('broken');
    rmSync(path.join(folder, 'ernie', 'vocab.txt'));
    const kept = tf.memory().numTensors;
    await assert.rejects(paperRewards(folder, 'animal'), /ernie has neither tokenizer\.json nor vocab\.txt/);
    assert.equal(tf.memory().numTensors, kept);
  });
});
