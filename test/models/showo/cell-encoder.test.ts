import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { startEngine, Rng, tf } from '../../../src/engine';
import { MagvitTokenizer, type MagvitConfig } from '../../../src/models/showo/image-tokenizer';

const coder = { ch: 8, ch_mult: [1, 2, 2], num_res_blocks: [1, 1, 1], z_channels: 6, norm_groups: 4 };
const whole: MagvitConfig = { encoder: coder, decoder: coder, codebook_dim: 6 };

/** 16 x 24 pixels of noise. */
const noise = (seed: number) => tf.tensor4d(new Rng(seed).normal(16 * 24 * 3), [1, 16, 24, 3]);

describe('an encoder that sees one cell at a time', () => {
  before(async () => {
    await startEngine({ precision: 'float32', quiet: true });
  });

  it('gives a cell the same code wherever it stands, and a change in one cell changes that code alone', () => {
    const tokenizer = MagvitTokenizer.random({ ...whole, cell_encoder: true }, new Rng(1));
    tf.tidy(() => {
      const pixels = noise(2);
      const z = tokenizer.encodeContinuous(pixels);
      assert.deepEqual(z.shape, [1, 4, 6, 6]);
      const moved = tokenizer.encodeContinuous(
        tf.concat([tf.slice(pixels, [0, 0, 8, 0], [1, 16, 16, 3]), tf.slice(pixels, [0, 0, 0, 0], [1, 16, 8, 3])], 2),
      );
      const back = tf.concat(
        [tf.slice(moved, [0, 0, 4, 0], [1, 4, 2, 6]), tf.slice(moved, [0, 0, 0, 0], [1, 4, 4, 6])],
        2,
      );
      assert.ok(tf.max(tf.abs(tf.sub(back, z))).dataSync()[0] < 1e-5);
      const changed = pixels.bufferSync();
      changed.set(5, 0, 6, 9, 1); // in cell (1, 2)
      const difference = tf.max(tf.abs(tf.sub(tokenizer.encodeContinuous(changed.toTensor()), z)), -1).dataSync();
      difference.forEach((d, cell) => (cell === 1 * 6 + 2 ? assert.ok(d > 1e-4) : assert.ok(d < 1e-6)));
    });
    tokenizer.dispose();
  });

  it('has the weights of an encoder of whole images, which does see what stands beside a cell', () => {
    const tokenizer = MagvitTokenizer.random(whole, new Rng(1));
    const cells = tokenizer.configured({ ...whole, cell_encoder: true });
    assert.equal(cells.parameters, tokenizer.parameters);
    tf.tidy(() => {
      const pixels = noise(3);
      const apart = tf.max(tf.abs(tf.sub(tokenizer.encodeContinuous(pixels), cells.encodeContinuous(pixels))));
      assert.ok(apart.dataSync()[0] > 1e-3);
      const single = tf.slice<tf.Rank.R4, tf.Tensor4D>(pixels, [0, 4, 8, 0], [1, 4, 4, 3]);
      const alone = tokenizer.encodeContinuous(single);
      const inside = tf.slice(cells.encodeContinuous(pixels), [0, 1, 2, 0], [1, 1, 1, 6]);
      assert.ok(tf.max(tf.abs(tf.sub(alone, inside))).dataSync()[0] < 1e-5);
    });
    assert.throws(
      () => tokenizer.configured({ ...whole, encoder: { ...coder, num_res_blocks: [1, 1, 2] } }),
      /other layers/,
    );
    tokenizer.dispose();
  });

  it('learns: gradients reach every weight of the encoder', () => {
    const tokenizer = MagvitTokenizer.random({ ...whole, cell_encoder: true }, new Rng(4));
    const pixels = noise(5);
    const { grads, value } = tf.variableGrads(() => {
      const out = tokenizer.reconstruct(pixels);
      return tf.add<tf.Scalar>(tf.mean(tf.square(tf.sub(out.pixels, pixels))), out.commitment);
    });
    const names = Object.entries(tokenizer.parameters.variables).filter(([name]) => name.startsWith('encoder.'));
    for (const [name, variable] of names) {
      // With one position left, attention has nothing to choose from: its queries and keys do not matter.
      if (/attn_1\.[qk]\./.test(name)) continue;
      assert.ok(tf.tidy(() => tf.max(tf.abs(grads[variable.name])).dataSync()[0]) > 0, name);
    }
    tf.dispose([grads, value, pixels]);
    tokenizer.dispose();
  });
});
