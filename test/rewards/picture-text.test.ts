import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startEngine, Rng, tf } from '../../src/engine';
import type { Image } from '../../src/io';
import { BlipDescriber } from '../../src/models/scorers/blip-describe';
import { BlipJudge } from '../../src/models/scorers/blip-judge';
import { SentenceEncoder } from '../../src/models/scorers/sentences';
import { berReward, captionSimilarity, imageTextMatch } from '../../src/rewards';
import { sampleOf } from './sample';

const PARITY = path.join(__dirname, '..', 'parity');

/** Words whose numbers fit the fixtures' special tokens: [SEP] is 108, the first token of a caption 118. */
const WORDS = Array.from({ length: 120 }, (_, i) =>
  i === 0 ? '[PAD]' : i === 1 ? '[UNK]' : i === 2 ? '[CLS]' : i === 108 ? '[SEP]' : i === 118 ? '[DEC]' : `w${i}`,
);

let scratch: string;
let judges: BlipJudge[];
let describer: BlipDescriber;
let sentences: SentenceEncoder;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  scratch = mkdtempSync(path.join(os.tmpdir(), 'unilab-image-text-'));
  const folder = (kind: string) => {
    const place = path.join(scratch, kind);
    cpSync(path.join(PARITY, kind), place, { recursive: true });
    writeFileSync(path.join(place, 'vocab.txt'), WORDS.join('\n'));
    writeFileSync(
      path.join(place, 'preprocessor_config.json'),
      JSON.stringify({ image_processor_type: 'BlipImageProcessor', size: { height: 32, width: 32 } }),
    );
    return place;
  };
  judges = [
    await BlipJudge.fromPretrained(folder('blip_itm'), { batch: 2 }),
    await BlipJudge.fromPretrained(folder('blip2_itm')),
  ];
  describer = await BlipDescriber.fromPretrained(folder('blip_caption'));
  sentences = await SentenceEncoder.fromPretrained(folder('bert'));
});
after(() => {
  for (const model of [...judges, describer, sentences]) model.dispose();
  rmSync(scratch, { recursive: true });
});

const image = (seed: number, side = 40): Image => ({
  width: side,
  height: side - 5,
  rgb: Uint8Array.from({ length: side * (side - 5) * 3 }, () => 0).map(
    (_, i) => (i * seed * 37 + (i >> 5) * seed) % 256,
  ),
});
const images = [3, 5, 7].map((seed) => image(seed));
const samples = images.map((one, i) => sampleOf({ image: one, text: `w${2 * i + 3} w${2 * i + 7}` }));

describe('images with texts', () => {
  it('are scored by BLIP and BLIP-2 under their names, each sample alike alone and in a batch', async () => {
    const scorers = judges.flatMap((judge) => [berReward(judge), imageTextMatch(judge)]);
    const names = scorers.map((scorer) => scorer.name);
    assert.deepEqual(names, ['ber_blip', 'itm_blip', 'ber_blip2', 'itm_blip2']);
    for (const scorer of scorers) {
      const kept = tf.memory().numTensors;
      const all = await scorer(samples);
      assert.equal(tf.memory().numTensors, kept);
      for (const [i, { value }] of all.entries()) {
        assert.ok(value >= scorer.range[0] && value <= scorer.range[1], `${scorer.name} ${value}`);
        assert.ok(Math.abs((await scorer([samples[i]]))[0].value - value) < 1e-5);
      }
      assert.ok(new Set(all.map(({ value }) => value.toFixed(6))).size > 1, `${scorer.name} tells samples apart`);
      assert.deepEqual(await scorer([]), []);
    }
  });

  it('leave out the sample that cannot be scored, with the reason', async () => {
    const broken = sampleOf({ image: { width: 9, height: 9, rgb: new Uint8Array(3) }, text: 'w5' });
    const silent = sampleOf({ image: image(9), text: ' ' });
    for (const scorer of [berReward(judges[0]), imageTextMatch(judges[1]), captionSimilarity(describer, sentences)]) {
      const results = await scorer([samples[0], broken, silent]);
      assert.ok(Math.abs(results[0].value - (await scorer([samples[0]]))[0].value) < 1e-5);
      assert.ok(Number.isNaN(results[1].value) && Number.isNaN(results[2].value));
      assert.match(results[1].reason ?? '', /9 x 9|bytes/);
      assert.equal(results[2].reason, 'the text is empty');
    }
  });

  it('are compared in words: 1 for the caption itself, and the caption can be seen', async () => {
    const said = new Map<Image, string>();
    const scorer = captionSimilarity(describer, sentences, (one, caption) => said.set(one, caption));
    assert.equal(scorer.name, 'caption_similarity_blip_bert');
    const kept = tf.memory().numTensors;
    await scorer(samples);
    const captions = images.map((one) => said.get(one) as string);
    for (const caption of captions) assert.match(caption, /^w\d+/);
    const same = await scorer(images.map((one, i) => sampleOf({ image: one, text: captions[i] })));
    for (const { value } of same) assert.ok(Math.abs(value - 1) < 1e-5);
    assert.equal(tf.memory().numTensors, kept);
    const mute = captionSimilarity({ name: 'mute', captions: async (list) => list.map(() => '') }, sentences);
    assert.deepEqual((await mute(samples.slice(0, 1)))[0], { value: 0, reason: 'the caption is empty' });
  });

  it('can be described by drawing, reproducibly, and from a prompt', async () => {
    const list = images;
    const options = { temperature: 2, maxLength: 12 };
    const drawn = (seed: number, batch?: number) => describer.captions(list, { ...options, rng: new Rng(seed), batch });
    assert.deepEqual(await drawn(1), await drawn(1, 1));
    assert.notDeepEqual(await drawn(1), await drawn(2));
    const prompted = await describer.captions(list, { prompt: 'w9 w8', maxLength: 10 });
    for (const caption of prompted) assert.match(caption, /^w9 w8/);
    await assert.rejects(describer.captions(list, { temperature: 1 }), /give a stream/);
    await assert.rejects(judges[0].match(list, ['w5']), /3 images and 1 texts/);
  });
});
