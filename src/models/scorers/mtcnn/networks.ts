/**
 * MTCNN's three networks (Zhang et al. 2016) under facenet-pytorch's names: P-Net looks at every 12 x 12 window of a
 * image, R-Net at crops of 24 x 24, O-Net at crops of 48 x 48. Pixels are (value - 127.5) / 128, NHWC.
 */
import { tf } from '../../../engine';
import type { RawTensor } from '../../../io';
import { conv, declareConv } from '../../../nn/conv';
import { type ParameterSpec, Parameters } from '../../../nn/parameters';

export type NetworkName = 'pnet' | 'rnet' | 'onet';

/** Side of the crops that each network looks at. */
export const NETWORK_SIDES = { pnet: 12, rnet: 24, onet: 48 } as const;

interface Layout {
  /** Convolutions in order: side of the kernel, and the pooling after it (side; always by 2). */
  readonly convolutions: readonly { readonly kernel: number; readonly pool?: number }[];
  /** Side of what is left for the dense layers; P-Net has none. */
  readonly left?: number;
  /** The last layers by name, with what they put out. */
  readonly heads: Readonly<Record<string, number>>;
  /** Published channels of the convolutions, then of the dense layer. */
  readonly widths: readonly number[];
}

const LAYOUTS: Readonly<Record<NetworkName, Layout>> = {
  pnet: {
    convolutions: [{ kernel: 3, pool: 2 }, { kernel: 3 }, { kernel: 3 }],
    heads: { conv4_1: 2, conv4_2: 4 },
    widths: [10, 16, 32],
  },
  rnet: {
    convolutions: [{ kernel: 3, pool: 3 }, { kernel: 3, pool: 3 }, { kernel: 2 }],
    left: 3,
    heads: { dense5_1: 2, dense5_2: 4 },
    widths: [28, 48, 64, 128],
  },
  onet: {
    convolutions: [{ kernel: 3, pool: 3 }, { kernel: 3, pool: 3 }, { kernel: 3, pool: 2 }, { kernel: 2 }],
    left: 3,
    heads: { dense6_1: 2, dense6_2: 4, dense6_3: 10 },
    widths: [32, 64, 64, 128, 256],
  },
};

/**
 * A network's parameters under their upstream names.
 * @param widths channels of its convolutions and its dense layer; default: the published ones
 */
export function networkSpecs(name: NetworkName, widths = LAYOUTS[name].widths): Record<string, ParameterSpec> {
  const { convolutions, left, heads } = LAYOUTS[name];
  const specs: Record<string, ParameterSpec> = {};
  let before = 3;
  const prelu = (i: number) => (specs[`prelu${i}.weight`] = { shape: [widths[i - 1]], init: { constant: 0.25 } });
  convolutions.forEach(({ kernel }, i) => {
    declareConv(specs, `conv${i + 1}`, before, widths[i], kernel);
    prelu(i + 1);
    before = widths[i];
  });
  const dense = (layer: string, out: number, inputs: number) => {
    specs[`${layer}.weight`] = { shape: [out, inputs], init: { normal: inputs ** -0.5 } };
    specs[`${layer}.bias`] = { shape: [out], init: { constant: 0 } };
  };
  if (left !== undefined) {
    const place = convolutions.length + 1;
    dense(`dense${place}`, widths[place - 1], before * left * left);
    prelu(place);
    before = widths[place - 1];
  }
  for (const [layer, out] of Object.entries(heads))
    if (left === undefined) declareConv(specs, layer, before, out, 1);
    else dense(layer, out, before);
  return specs;
}

/** A network from a state dict; widths are taken from the weights. @throws CheckpointMismatchError listing what does not fit */
export function networkFromTensors(
  name: NetworkName,
  tensors: Readonly<Record<string, RawTensor>>,
  where: string,
): Parameters {
  const { widths, convolutions } = LAYOUTS[name];
  const layer = (i: number) => (i < convolutions.length ? `conv${i + 1}` : `dense${i + 1}`);
  const own = widths.map((width, i) => tensors[`${layer(i)}.weight`]?.shape[0] ?? width);
  return Parameters.fromTensors(networkSpecs(name, own), tensors, where);
}

/** Max pooling by 2 that keeps a last, incomplete window (PyTorch's `ceil_mode`). */
export function poolCeil(x: tf.Tensor4D, side: number): tf.Tensor4D {
  const missing = (size: number): number => {
    const windows = Math.max(1, Math.ceil((size - side) / 2) + 1);
    const needed = ((windows - 1) * 2 >= size ? windows - 2 : windows - 1) * 2 + side;
    return Math.max(0, needed - size);
  };
  const padded = tf.pad(x, [[0, 0], [0, missing(x.shape[1])], [0, missing(x.shape[2])], [0, 0]], -3.4e38); // prettier-ignore
  return tf.maxPool(padded, side, 2, 'valid');
}

/** The convolutions, `[batch, height, width, 3]` -> `[batch, height', width', channels]`. */
function convolutions(p: Parameters, name: NetworkName, pixels: tf.Tensor4D): tf.Tensor4D {
  let h = pixels;
  LAYOUTS[name].convolutions.forEach(({ pool }, i) => {
    h = tf.prelu(conv(p, `conv${i + 1}`, h, 1, 'valid'), p.get(`prelu${i + 1}.weight`) as tf.Tensor4D);
    if (pool !== undefined) h = poolCeil(h, pool);
  });
  return h;
}

/** The dense layer: upstream flattens columns first, then rows, then channels. */
function dense(p: Parameters, name: 'rnet' | 'onet', h: tf.Tensor4D): tf.Tensor2D {
  const place = LAYOUTS[name].convolutions.length + 1;
  const flat = tf.reshape(tf.transpose(h, [0, 2, 1, 3]), [h.shape[0], -1]);
  return tf.prelu(p.linear(`dense${place}`, flat) as tf.Tensor2D, p.get(`prelu${place}.weight`) as tf.Tensor2D);
}

/** What the networks say of a place or crop. */
export interface NetworkOutput<R extends tf.Tensor = tf.Tensor> {
  /** Corrections of the box's four edges, in shares of its sides, `[..., 4]`. */
  readonly regression: R;
  /** Probabilities of no face and of a face, `[..., 2]`. */
  readonly probability: R;
}

/** @param pixels `[batch, height, width, 3]` @returns maps `[batch, rows, columns, 4 or 2]`, one place each 2 pixels */
export function proposals(p: Parameters, pixels: tf.Tensor4D): NetworkOutput<tf.Tensor4D> {
  const h = convolutions(p, 'pnet', pixels);
  return {
    regression: conv(p, 'conv4_2', h, 1, 'valid'),
    probability: tf.softmax(conv(p, 'conv4_1', h, 1, 'valid')),
  };
}

/** @param crops `[batch, 24, 24, 3]` @returns `[batch, 4 or 2]` */
export function refinements(p: Parameters, crops: tf.Tensor4D): NetworkOutput<tf.Tensor2D> {
  const h = dense(p, 'rnet', convolutions(p, 'rnet', crops));
  return {
    regression: p.linear('dense5_2', h) as tf.Tensor2D,
    probability: tf.softmax(p.linear('dense5_1', h)) as tf.Tensor2D,
  };
}

/** @param crops `[batch, 48, 48, 3]` @returns `[batch, 4 or 2]`, and five landmarks `[batch, 10]`: x, then y, in shares of the box */
export function outputs(p: Parameters, crops: tf.Tensor4D): NetworkOutput<tf.Tensor2D> & { points: tf.Tensor2D } {
  const h = dense(p, 'onet', convolutions(p, 'onet', crops));
  return {
    regression: p.linear('dense6_2', h) as tf.Tensor2D,
    points: p.linear('dense6_3', h) as tf.Tensor2D,
    probability: tf.softmax(p.linear('dense6_1', h)) as tf.Tensor2D,
  };
}
