/** The scene detector's network: a conv backbone, a head at every cell, and one for the background. */
import { tf } from '../../engine';
import { backboneFeatures, ConvBackbone, type ConvBackboneConfig } from '../../nn/conv-backbone';
import { Conv2d, Linear } from '../../nn/layers';
import { Module } from '../../nn/module';
import { CATEGORIES, CELLS, COLORS, BACKGROUNDS, IDENTITIES } from './labels';

/** Outputs of a cell, one after the other. */
export const HEAD_SIZES = [CATEGORIES.length + 1, COLORS.length, IDENTITIES.length + 1, 2] as const;

/** Raw outputs, one row a cell; `cells` = batch x 64, row by row. */
export interface DetectorOutputs {
  /** `[cells, 32]`, the last one for "nothing here". */
  readonly category: tf.Tensor2D;
  /** `[cells, 6]` */
  readonly color: tf.Tensor2D;
  /** `[cells, 21]`, the last one for "none of the concepts". */
  readonly identity: tf.Tensor2D;
  /** `[cells, 2]`: x and y of the center from the cell's, in cells. */
  readonly offset: tf.Tensor2D;
  /** `[batch, 9]` */
  readonly background: tf.Tensor2D;
}

/** 64 x 64 -> 8 x 8 places of 128 features; half a million parameters, about 0.1 GFLOP an image. */
export const DETECTOR_BACKBONE: ConvBackboneConfig = { channels: [32, 64, 128], blocks: [0, 1, 1] };

export class DetectorNetwork extends Module<ConvBackboneConfig> {
  private readonly features = backboneFeatures(this.config);
  readonly trunk = new ConvBackbone(this.config);
  readonly cell = new Conv2d(
    this.features,
    HEAD_SIZES.reduce((a, b) => a + b),
    1,
  );
  readonly ground = new Linear(this.features, BACKGROUNDS.length, { std: 0.05 });

  /** @param pixels `[batch, 64, 64, 3]` in [-1, 1] @throws RangeError for another shape */
  forward(pixels: tf.Tensor4D): DetectorOutputs {
    const features = this.trunk.forward(pixels);
    const [batch, rows, columns, channels] = features.shape;
    if (rows * columns !== CELLS)
      throw new RangeError(`the scene detector sees images of 64 x 64 pixels, got [${pixels.shape}]`);
    const cells = tf.reshape<tf.Rank.R2>(this.cell.forward(features), [batch * CELLS, -1]);
    const [category, color, identity, offset]: tf.Tensor2D[] = tf.split(cells, [...HEAD_SIZES], 1);
    const pooled = tf.reshape<tf.Rank.R2>(tf.mean(features, [1, 2]), [batch, channels]);
    return { category, color, identity, offset, background: this.ground.forward(pooled) };
  }
}
