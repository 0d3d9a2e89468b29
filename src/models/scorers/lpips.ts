/**
 * LPIPS (Zhang et al. 2018), version 0.1 on VGG16: how different two images look. Unit feature vectors of five depths
 * are compared place by place, and learned weights (one a channel) add their squared differences up. Frozen.
 */
import { readValues, tf } from '../../engine';
import { openSafetensors, type RawTensor, readSafetensors, toFloat32 } from '../../io';
import { CheckpointMismatchError } from '../../nn/checkpoint-fit';
import { Parameter } from '../../nn/module';
import type { ParamStore } from '../../nn/store';
import { type FrozenNetwork, frozenFromTensors } from './bert/load';
import { Vgg16, VGG16_CHANNELS, VGG16_LEAST_SIDE, VGG16_SLICES } from './vgg';

/** Mean and spread of ImageNet's colors, for pixels in [-1, 1] (the package's `scaling_layer`). */
const SHIFT = [-0.03, -0.088, -0.188];
const SCALE = [0.458, 0.448, 0.45];
/** Keeps a place whose features are all 0 at 0. */
const EPS = 1e-10;
/** Pairs compared at once: the first slice of a 256 x 256 pair at full width takes 34 MB. */
const CHUNK = 4;

/** Distances of pairs of images, and what they are made of. */
export interface LpipsResult {
  /** One a pair, the sum of its row of `perLayer`; 0 for equal images. */
  readonly distance: Float32Array;
  /** `[pairs][5]`: the share of relu1_2, 2_2, 3_3, 4_3, 5_3. */
  readonly perLayer: Float32Array[];
}

/** A slice's weights, one a channel. */
function head(channels: number) {
  const weight = new Parameter<tf.Tensor4D>([1, channels, 1, 1], { constant: 1 / channels }, 'conv');
  return { model: { 1: { weight } } };
}

/** VGG16 and its five heads. */
export class LpipsNetwork extends Vgg16 {
  readonly lin0 = head(this.config.channels[0]);
  readonly lin1 = head(this.config.channels[1]);
  readonly lin2 = head(this.config.channels[2]);
  readonly lin3 = head(this.config.channels[3]);
  readonly lin4 = head(this.config.channels[4]);

  heads(): tf.Tensor4D[] {
    return [this.lin0, this.lin1, this.lin2, this.lin3, this.lin4].map(({ model }) => model[1].weight.value);
  }
}

export class Lpips {
  readonly parameters: ParamStore;
  private readonly net: LpipsNetwork;

  private constructor(
    { net, parameters }: FrozenNetwork<LpipsNetwork>,
    /** `[-0.03, -0.088, -0.188]` and `[0.458, 0.448, 0.45]`, or what the checkpoint says. */
    private readonly shift: readonly number[],
    private readonly scale: readonly number[],
  ) {
    this.net = net;
    this.parameters = parameters;
  }

  /**
   * Loads the lpips package's whole state dict from one file, or torchvision's VGG16 and the package's `lin` weights
   * from two. Channels are taken from the weights. (In Python, for the first:
   * `safetensors.torch.save_model(lpips.LPIPS(net='vgg'), 'lpips.safetensors')`.)
   * @param weights the whole state dict, or torchvision's `features.*` (its classifier is passed over)
   * @param lin `lin0..4.model.1.weight`, when `weights` does not hold them
   * @throws CheckpointMismatchError listing every missing, unknown and mis-shaped tensor
   */
  static async load(weights: string, lin?: string): Promise<Lpips> {
    const reader = await openSafetensors(weights);
    const tensors: Record<string, RawTensor> = {};
    try {
      // The classifier is nine tenths of torchvision's file, and nothing of it is used.
      for (const name of reader.names) if (!name.startsWith('classifier.')) tensors[name] = await reader.read(name);
    } finally {
      await reader.close();
    }
    if (!lin) return Lpips.fromTensors(tensors, weights);
    return Lpips.fromTensors({ ...tensors, ...(await readSafetensors(lin)) }, `${weights} and ${lin}`);
  }

  /** @param where names the weights in errors @throws CheckpointMismatchError, see {@link Lpips.load} */
  static fromTensors(tensors: Readonly<Record<string, RawTensor>>, where: string): Lpips {
    const own: Record<string, RawTensor> = {};
    const scaling: Record<string, readonly number[]> = { shift: SHIFT, scale: SCALE };
    for (const [name, tensor] of Object.entries(tensors)) {
      const layer = /^scaling_layer\.(shift|scale)$/.exec(name)?.[1];
      if (layer === undefined) own[modelName(name)] ??= tensor;
      else if (tensor.data.length === 3) scaling[layer] = Array.from(toFloat32(tensor));
      else throw new CheckpointMismatchError(`${where}: ${name}: expected [1,3,1,1], found [${tensor.shape}]`);
    }
    const channels = VGG16_SLICES.map(([first], i) => own[`features.${first}.weight`]?.shape[0] ?? VGG16_CHANNELS[i]);
    const network = frozenFromTensors(new LpipsNetwork({ channels }), own, where);
    return new Lpips(network, scaling.shift, scaling.scale);
  }

  /**
   * @param a `[pairs, height, width, 3]` in [-1, 1], sides of at least 16
   * @param b the same shape
   * @throws RangeError naming both shapes when they do not fit
   */
  compare(a: tf.Tensor4D, b: tf.Tensor4D): LpipsResult {
    checkPair(a, b);
    const pairs = a.shape[0];
    const perLayer: Float32Array[] = [];
    for (let at = 0; at < pairs; at += CHUNK) {
      const size = Math.min(CHUNK, pairs - at);
      const part = (x: tf.Tensor4D) => tf.slice(x, [at, 0, 0, 0], [size, -1, -1, -1]);
      const values = readValues(() => this.layers(part(a), part(b)));
      for (let i = 0; i < size; i++) perLayer.push(values.slice(i * 5, (i + 1) * 5));
    }
    return { distance: Float32Array.from(perLayer, (row) => row.reduce((sum, v) => sum + v, 0)), perLayer };
  }

  /** The distances alone, one a pair; see {@link compare}. */
  distance(a: tf.Tensor4D, b: tf.Tensor4D): Float32Array {
    return this.compare(a, b).distance;
  }

  /** The five slices' features, see {@link Vgg16.slices}; the caller disposes them. @param x as in {@link compare} */
  features(x: tf.Tensor4D): tf.Tensor4D[] {
    checkPair(x, x);
    return tf.tidy(() => {
      const centered = tf.sub<tf.Tensor4D>(x, tf.tensor1d([...this.shift]));
      return this.net.slices(tf.div(centered, tf.tensor1d([...this.scale])));
    });
  }

  dispose(): void {
    this.parameters.dispose();
  }

  /** `[pairs, 5]` */
  private layers(a: tf.Tensor4D, b: tf.Tensor4D): tf.Tensor2D {
    const pairs = a.shape[0];
    const slices = this.features(tf.concat([a, b], 0));
    const heads = this.net.heads();
    const shares = slices.map((slice, i) => {
      const length = tf.sqrt(tf.sum(tf.square(slice), -1, true));
      const [one, other] = tf.split(tf.div<tf.Tensor4D>(slice, tf.add(length, EPS)), [pairs, pairs], 0);
      return tf.mean(tf.conv2d(tf.squaredDifference<tf.Tensor4D>(one, other), heads[i], 1, 'valid'), [1, 2, 3]);
    });
    return tf.stack(shares, 1) as tf.Tensor2D;
  }
}

/** The package's own state dict numbers torchvision's places by slice, and holds its heads twice. */
function modelName(name: string): string {
  return name.replace(/^net\.slice\d\./, 'features.').replace(/^lins\.(\d)\./, 'lin$1.');
}

function checkPair(a: tf.Tensor4D, b: tf.Tensor4D): void {
  const [, height, width, channels] = a.shape;
  if (a.rank !== 4 || channels !== 3 || height < VGG16_LEAST_SIDE || width < VGG16_LEAST_SIDE) {
    throw new RangeError(
      `LPIPS compares images [pairs, height, width, 3] with sides of at least ${VGG16_LEAST_SIDE}, got [${a.shape}]`,
    );
  }
  if (a.shape.join() !== b.shape.join())
    throw new RangeError(`LPIPS compares images of one shape, got [${a.shape}] and [${b.shape}]`);
}
