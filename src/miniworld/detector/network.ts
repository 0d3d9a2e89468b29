/** The scene detector's network: a conv trunk, a head at every cell, and one for the background. */
import { linear, tf } from '../../engine';
import { conv, declareConv } from '../../nn/conv';
import type { ParameterSpec, Parameters } from '../../nn/parameters';
import { declareTrunk, trunk, type TrunkConfig } from '../../nn/trunk';
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

export function detectorSpecs(config: TrunkConfig): Record<string, ParameterSpec> {
  const specs: Record<string, ParameterSpec> = {};
  declareTrunk(specs, 'trunk', config);
  const features = config.channels[config.channels.length - 1];
  const outputs = HEAD_SIZES.reduce((a, b) => a + b);
  declareConv(specs, 'cell', features, outputs, 1);
  specs['ground.weight'] = { shape: [BACKGROUNDS.length, features], init: { normal: 0.05 } };
  specs['ground.bias'] = { shape: [BACKGROUNDS.length], init: { constant: 0 } };
  return specs;
}

/** @param pixels `[batch, 64, 64, 3]` in [-1, 1] @throws RangeError for another shape */
export function detectorForward(p: Parameters, config: TrunkConfig, pixels: tf.Tensor4D): DetectorOutputs {
  const features = trunk(p, 'trunk', config, pixels);
  const [batch, rows, columns, channels] = features.shape;
  if (rows * columns !== CELLS)
    throw new RangeError(`the scene detector sees images of 64 x 64 pixels, got [${pixels.shape}]`);
  const cells: tf.Tensor2D = tf.reshape(conv(p, 'cell', features), [batch * CELLS, -1]);
  const [category, color, identity, offset]: tf.Tensor2D[] = tf.split(cells, [...HEAD_SIZES], 1);
  const pooled = tf.reshape(tf.mean(features, [1, 2]), [batch, channels]);
  return {
    category,
    color,
    identity,
    offset,
    background: linear(pooled, p.get('ground.weight'), p.get('ground.bias')) as tf.Tensor2D,
  };
}
