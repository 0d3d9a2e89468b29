/** A small language model of layers, on which stores, adapters and wrappers are tried. */
import { geluErf, type Rng, tf } from '../../src/engine';
import { Embedding, LayerNorm, Linear } from '../../src/nn/layers';
import { Module } from '../../src/nn/module';
import { ParamStore } from '../../src/nn/store';

export interface TinyConfig {
  readonly vocab: number;
  readonly width: number;
  readonly layers: number;
  readonly tied: boolean;
}

export class TinyBlock extends Module<TinyConfig> {
  readonly norm = new LayerNorm(this.config.width, 1e-5);
  readonly mlp = {
    fc1: new Linear(this.config.width, 2 * this.config.width),
    fc2: new Linear(2 * this.config.width, this.config.width),
  };

  /** @param scale `[batch, 1, 1]` */
  forward(x: tf.Tensor3D, { scale }: { scale: tf.Tensor3D }): tf.Tensor3D {
    const { fc1, fc2 } = this.mlp;
    const h = fc2.forward(geluErf(fc1.forward(this.norm.forward(x))) as tf.Tensor3D);
    return tf.add(x, tf.mul(h, scale));
  }
}

export class TinyNetwork extends Module<TinyConfig> {
  readonly embed = new Embedding(this.config.vocab, this.config.width, 1);
  readonly layers = Array.from({ length: this.config.layers }, () => new TinyBlock(this.config));
  readonly head = new Linear(this.config.width, this.config.vocab, {
    tiedTo: this.config.tied ? this.embed : undefined,
  });

  /** Logits of ids. */
  forward(ids: tf.Tensor2D, scale = tf.ones<tf.Rank.R3>([ids.shape[0], 1, 1])): tf.Tensor3D {
    return tf.tidy(() => {
      let x = this.embed.forward(ids);
      for (const layer of this.layers) x = layer.forward(x, { scale });
      return this.head.forward(x);
    });
  }
}

export const TINY_CONFIG: TinyConfig = { vocab: 6, width: 4, layers: 2, tied: false };

/** Ids that every test reads. */
export const TINY_IDS: readonly (readonly number[])[] = [
  [0, 1, 2],
  [5, 4, 3],
];

/** Numbers large enough that every part matters. */
export function livelyStore(net: Module, rng: Rng, scale = 0.4): ParamStore {
  return ParamStore.fill(net, (name, { shape }) =>
    rng
      .split(name)
      .normal(shape.reduce((a, b) => a * b, 1))
      .map((value) => value * scale),
  );
}

/** A network's logits of {@link TINY_IDS}. */
export function logitsOf(net: TinyNetwork, ids = TINY_IDS): number[] {
  return tf.tidy(() => Array.from(net.forward(tf.tensor2d(ids.flat(), [2, ids[0].length], 'int32')).dataSync()));
}

/** The largest difference between two lists of numbers. */
export function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}
