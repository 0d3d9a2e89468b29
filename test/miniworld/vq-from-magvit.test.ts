import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { readValues, startEngine, Rng, tf } from '../../src/engine';
import { vqganConfig } from '../../src/models/janus/config';
import { VQ } from '../../src/models/janus/image-tokenizer';
import { MagvitTokenizer } from '../../src/models/showo/image-tokenizer';
import { MAGVIT_MINI } from '../../src/miniworld/curricula/showo-config';
import { freshChameleonMini } from '../../src/miniworld/curricula/chameleon-training';
import { freshJanusMini } from '../../src/miniworld/curricula/janus-training';
import { vqFromMagvit } from '../../src/miniworld/curricula/vq-from-magvit';

before(() => startEngine({ precision: 'float32', quiet: true }));

const largest = (a: Float32Array, b: Float32Array) => a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

test('a codebook of corners gives the codes and the images of sign bits, compared by angle or by distance', () => {
  const magvit = MagvitTokenizer.random(MAGVIT_MINI, new Rng(1));
  const pixels = tf.tensor4d(new Rng(2).normal(2 * 64 * 64 * 3), [2, 64, 64, 3]);
  const codes = readValues<'int32'>(() => magvit.encode(pixels));
  assert.ok(new Set(codes).size > 20, 'too few codes to tell anything');
  const rows = [codes.slice(0, 64), codes.slice(64)];
  const images = readValues(() => magvit.decode(rows));

  const janus = freshJanusMini(3);
  const before = readValues(() => janus.imageTokenizer.decode(rows));
  assert.ok(largest(images, before) > 0.1);
  vqFromMagvit(janus.network.store, VQ, vqganConfig(janus.config.vq), magvit);
  const again = readValues<'int32'>(() => janus.imageTokenizer.encodePixels(pixels));
  assert.deepEqual(again, codes);
  assert.ok(
    largest(
      images,
      readValues(() => janus.imageTokenizer.decode(rows)),
    ) < 1e-4,
  );

  const chameleon = freshChameleonMini(4);
  const numbers = { variables: chameleon.imageTokenizer.vqgan.variables() };
  vqFromMagvit(numbers, '', chameleon.config.vq, magvit);
  assert.deepEqual(chameleon.imageTokenizer.encodePixels(pixels), rows);
  assert.ok(
    largest(
      images,
      readValues(() => chameleon.imageTokenizer.decode(rows)),
    ) < 1e-4,
  );

  const narrow = { ...chameleon.config.vq, n_embed: 1024 };
  assert.throws(
    () => vqFromMagvit(numbers, '', narrow, magvit),
    /4096 codes of 12 bits need a codebook \[4096,12\], this one is \[1024,12\]/,
  );
  assert.throws(() => vqFromMagvit(numbers, 'no.', chameleon.config.vq, magvit), /no\.encoder.*the VQGAN has \[none\]/);
  pixels.dispose();
  for (const model of [magvit, janus, chameleon]) model.dispose();
});
