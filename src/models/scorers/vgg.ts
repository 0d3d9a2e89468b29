/**
 * VGG16's convolutions (Simonyan and Zisserman 2015, configuration D) under torchvision's names, cut after the last ReLU
 * of every resolution: the features that perceptual distances compare.
 */
import { tf } from '../../engine';
import { Conv2d } from '../../nn/layers';
import { Module } from '../../nn/module';

/** Places of the convolutions in torchvision's `features`, one list a slice; every later slice pools first. */
export const VGG16_SLICES: readonly (readonly number[])[] = [
  [0, 2],
  [5, 7],
  [10, 12, 14],
  [17, 19, 21],
  [24, 26, 28],
];

/** Channels of the five slices as published. */
export const VGG16_CHANNELS: readonly number[] = [64, 128, 256, 512, 512];

/** Each pooling halves both sides, downwards: below this nothing would be left for the last slice. */
export const VGG16_LEAST_SIDE = 16;

export interface VggConfig {
  /** Channels of the five slices. */
  readonly channels: readonly number[];
}

export class Vgg16<Config extends VggConfig = VggConfig> extends Module<Config> {
  /** By their place. */
  readonly features: Readonly<Record<number, Conv2d>>;

  /** @throws RangeError unless there are channels for five slices */
  constructor(config: Config) {
    super(config);
    const { channels } = config;
    if (channels.length !== VGG16_SLICES.length)
      throw new RangeError(`VGG16 has ${VGG16_SLICES.length} slices, got channels for ${channels.length}`);
    let inputs = 3;
    const layers = VGG16_SLICES.flatMap((slice, i) =>
      slice.map((place) => {
        const layer = new Conv2d(inputs, channels[i], 3);
        inputs = channels[i];
        return [place, layer] as const;
      }),
    );
    this.features = Object.fromEntries(layers);
  }

  /**
   * Features after relu1_2, 2_2, 3_3, 4_3 and 5_3.
   * @param x `[batch, height, width, 3]`, normalized as the user of the features wants it; sides of at least 16
   * @returns five tensors `[batch, height / 2^i, width / 2^i, channels]`, sides rounded down
   */
  slices(x: tf.Tensor4D): tf.Tensor4D[] {
    let h = x;
    return VGG16_SLICES.map((slice, i) => {
      if (i > 0) h = tf.maxPool(h, 2, 2, 'valid');
      for (const place of slice) h = tf.relu(this.features[place].forward(h));
      return h;
    });
  }
}
