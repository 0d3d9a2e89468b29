/**
 * MTCNN's three networks (Zhang et al. 2016) under facenet-pytorch's names: P-Net looks at every 12 x 12 window of an
 * image, R-Net at crops of 24 x 24, O-Net at crops of 48 x 48. Pixels are (value - 127.5) / 128, NHWC.
 */
import { tf } from '../../../engine';
import type { RawTensor } from '../../../io';
import { Conv2d, Linear } from '../../../nn/layers';
import { Module, Parameter } from '../../../nn/module';
import { type FrozenNetwork, frozenFromTensors } from '../bert/load';

export type NetworkName = 'pnet' | 'rnet' | 'onet';

/** Side of the crops that each network looks at. */
export const NETWORK_SIDES = { pnet: 12, rnet: 24, onet: 48 } as const;

/** What the networks say of a place or crop. */
export interface NetworkOutput<R extends tf.Tensor = tf.Tensor> {
  /** Corrections of the box's four edges, in shares of its sides, `[..., 4]`. */
  readonly regression: R;
  /** Probabilities of no face and of a face, `[..., 2]`. */
  readonly probability: R;
}

/** Channels of a network's convolutions, then of its dense layer. */
interface Widths {
  readonly widths: readonly number[];
}

const PUBLISHED = {
  pnet: [10, 16, 32],
  rnet: [28, 48, 64, 128],
  onet: [32, 64, 64, 128, 256],
} as const;

/** ReLU with a learned slope below 0, one a channel (He et al. 2015). */
class PRelu extends Module<{ readonly channels: number }> {
  readonly weight = new Parameter<tf.Tensor1D>([this.config.channels], { constant: 0.25 });

  forward<X extends tf.Tensor>(x: X): X {
    return tf.prelu<tf.Tensor>(x, this.weight.value) as X;
  }
}

const prelu = (channels: number) => new PRelu({ channels });
const convolution = (inputs: number, outputs: number, kernel: number) =>
  new Conv2d(inputs, outputs, kernel, { pad: 'valid' });
const dense = (inputs: number, outputs: number) => new Linear(inputs, outputs, { std: inputs ** -0.5 });

/** Upstream flattens columns first, then rows, then channels. */
function flattened(h: tf.Tensor4D): tf.Tensor2D {
  return tf.reshape<tf.Rank.R2>(tf.transpose(h, [0, 2, 1, 3]), [h.shape[0], -1]);
}

export class PNet extends Module<Widths> {
  readonly conv1 = convolution(3, this.config.widths[0], 3);
  readonly prelu1 = prelu(this.config.widths[0]);
  readonly conv2 = convolution(this.config.widths[0], this.config.widths[1], 3);
  readonly prelu2 = prelu(this.config.widths[1]);
  readonly conv3 = convolution(this.config.widths[1], this.config.widths[2], 3);
  readonly prelu3 = prelu(this.config.widths[2]);
  readonly conv4_1 = convolution(this.config.widths[2], 2, 1);
  readonly conv4_2 = convolution(this.config.widths[2], 4, 1);

  constructor(widths: readonly number[] = PUBLISHED.pnet) {
    super({ widths });
  }

  /** @param pixels `[batch, height, width, 3]` @returns maps `[batch, rows, columns, 4 or 2]`, one place each 2 pixels */
  forward(pixels: tf.Tensor4D): NetworkOutput<tf.Tensor4D> {
    const first = poolCeil(this.prelu1.forward(this.conv1.forward(pixels)), 2);
    const second = this.prelu2.forward(this.conv2.forward(first));
    const h = this.prelu3.forward(this.conv3.forward(second));
    return { regression: this.conv4_2.forward(h), probability: tf.softmax(this.conv4_1.forward(h)) };
  }
}

export class RNet extends Module<Widths> {
  readonly conv1 = convolution(3, this.config.widths[0], 3);
  readonly prelu1 = prelu(this.config.widths[0]);
  readonly conv2 = convolution(this.config.widths[0], this.config.widths[1], 3);
  readonly prelu2 = prelu(this.config.widths[1]);
  readonly conv3 = convolution(this.config.widths[1], this.config.widths[2], 2);
  readonly prelu3 = prelu(this.config.widths[2]);
  readonly dense4 = dense(9 * this.config.widths[2], this.config.widths[3]);
  readonly prelu4 = prelu(this.config.widths[3]);
  readonly dense5_1 = dense(this.config.widths[3], 2);
  readonly dense5_2 = dense(this.config.widths[3], 4);

  constructor(widths: readonly number[] = PUBLISHED.rnet) {
    super({ widths });
  }

  /** @param crops `[batch, 24, 24, 3]` @returns `[batch, 4 or 2]` */
  forward(crops: tf.Tensor4D): NetworkOutput<tf.Tensor2D> {
    const first = poolCeil(this.prelu1.forward(this.conv1.forward(crops)), 3);
    const second = poolCeil(this.prelu2.forward(this.conv2.forward(first)), 3);
    const third = this.prelu3.forward(this.conv3.forward(second));
    const h = this.prelu4.forward(this.dense4.forward(flattened(third)));
    return { regression: this.dense5_2.forward(h), probability: tf.softmax(this.dense5_1.forward(h)) };
  }
}

export class ONet extends Module<Widths> {
  readonly conv1 = convolution(3, this.config.widths[0], 3);
  readonly prelu1 = prelu(this.config.widths[0]);
  readonly conv2 = convolution(this.config.widths[0], this.config.widths[1], 3);
  readonly prelu2 = prelu(this.config.widths[1]);
  readonly conv3 = convolution(this.config.widths[1], this.config.widths[2], 3);
  readonly prelu3 = prelu(this.config.widths[2]);
  readonly conv4 = convolution(this.config.widths[2], this.config.widths[3], 2);
  readonly prelu4 = prelu(this.config.widths[3]);
  readonly dense5 = dense(9 * this.config.widths[3], this.config.widths[4]);
  readonly prelu5 = prelu(this.config.widths[4]);
  readonly dense6_1 = dense(this.config.widths[4], 2);
  readonly dense6_2 = dense(this.config.widths[4], 4);
  readonly dense6_3 = dense(this.config.widths[4], 10);

  constructor(widths: readonly number[] = PUBLISHED.onet) {
    super({ widths });
  }

  /** @param crops `[batch, 48, 48, 3]` @returns `[batch, 4 or 2]`, and five landmarks `[batch, 10]`: x, then y, in shares of the box */
  forward(crops: tf.Tensor4D): NetworkOutput<tf.Tensor2D> & { points: tf.Tensor2D } {
    const first = poolCeil(this.prelu1.forward(this.conv1.forward(crops)), 3);
    const second = poolCeil(this.prelu2.forward(this.conv2.forward(first)), 3);
    const third = poolCeil(this.prelu3.forward(this.conv3.forward(second)), 2);
    const fourth = this.prelu4.forward(this.conv4.forward(third));
    const h = this.prelu5.forward(this.dense5.forward(flattened(fourth)));
    return {
      regression: this.dense6_2.forward(h),
      points: this.dense6_3.forward(h),
      probability: tf.softmax(this.dense6_1.forward(h)),
    };
  }
}

/** The three of them. */
export interface MtcnnNetworks {
  readonly pnet: PNet;
  readonly rnet: RNet;
  readonly onet: ONet;
}

/**
 * A network from a state dict.
 * @param make is given the widths that the weights have
 * @throws CheckpointMismatchError listing what does not fit
 */
export function networkFromTensors<M extends Module>(
  name: NetworkName,
  make: (widths: readonly number[]) => M,
  tensors: Readonly<Record<string, RawTensor>>,
  where: string,
): FrozenNetwork<M> {
  const published = PUBLISHED[name];
  // P-Net ends in convolutions, the others in a dense layer.
  const convolutions = name === 'pnet' ? published.length : published.length - 1;
  const layer = (i: number) => (i < convolutions ? `conv${i + 1}` : `dense${i + 1}`);
  const found: Readonly<Partial<Record<string, RawTensor>>> = tensors;
  const widths = published.map((width, i) => found[`${layer(i)}.weight`]?.shape[0] ?? width);
  return frozenFromTensors(make(widths), tensors, where);
}

/** Max pooling by 2 that keeps a last, incomplete window (PyTorch's `ceil_mode`). */
export function poolCeil(x: tf.Tensor4D, side: number): tf.Tensor4D {
  const missing = (size: number): number => {
    const windows = Math.max(1, Math.ceil((size - side) / 2) + 1);
    const needed = ((windows - 1) * 2 >= size ? windows - 2 : windows - 1) * 2 + side;
    return Math.max(0, needed - size);
  };
  const [below, right] = [missing(x.shape[1]), missing(x.shape[2])];
  const around: [number, number][] = [
    [0, 0],
    [0, below],
    [0, right],
    [0, 0],
  ];
  const padded = tf.pad(x, around, -3.4e38);
  return tf.maxPool(padded, side, 2, 'valid');
}
