/** Layer norm, RMS norm and group norm, each one operation with a gradient of few passes. */
import * as tf from '@tensorflow/tfjs';
import { withGradient } from './custom';
import { availableParallelism } from 'node:os';
import { bool, float, hasOwnKernel, hasOwnKernels, int, kernels, onTensorflow, sumRows, text, type } from './kernel';

function checkLast(name: string, x: tf.Tensor, parameter: tf.Tensor): void {
  const size = x.shape[x.rank - 1];
  if (parameter.size !== size) {
    throw new RangeError(`${name}: the last axis has ${size} values, its parameter ${parameter.size}; they must agree`);
  }
}

/**
 * Layer norm over the last axis (Ba et al. 2016): `(x - mean) / sqrt(variance + eps) * gamma + beta`.
 * On TensorFlow the normalizing and its gradient are one kernel each (batch norm with rows as channels).
 * @param x `[..., dim]`
 * @param gamma `[dim]`
 * @param beta `[dim]`, or null for none
 * @param eps default 1e-5
 * @throws RangeError when `gamma` or `beta` have another size than the last axis
 */
export function layerNorm(x: tf.Tensor, gamma: tf.Tensor1D, beta: tf.Tensor1D | null, eps = 1e-5): tf.Tensor {
  if (!onTensorflow()) return layerNormPlain(x, gamma, beta, eps);
  checkLast('layerNorm', x, gamma);
  if (beta) checkLast('layerNorm', x, beta);
  const dim = x.shape[x.rank - 1];
  const rows = x.size / dim;
  if (rows === 0) return layerNormPlain(x, gamma, beta, eps);
  if (hasOwnKernels()) return layerNormOwn(x, gamma, beta, eps);
  const attributes = () => [
    type('T'),
    type('U'),
    float('epsilon', eps),
    text('data_format', 'NCHW'),
    bool('is_training', true),
  ];
  return withGradient(beta ? [x, gamma, beta] : [x, gamma], (save) => {
    const x4 = tf.reshape(x, [1, rows, dim, 1]);
    const none = tf.tensor1d([]);
    const ones = tf.ones([rows]);
    const [normal, , , mean, variance] = kernels(
      'FusedBatchNormV3',
      attributes(),
      [x4, ones, tf.zeros([rows]), none, none],
      6,
    );
    const hat = tf.reshape(normal, x.shape);
    const scaled = tf.mul(hat, gamma);
    const value = beta ? tf.add(scaled, beta) : scaled;
    save([x4, hat, gamma, ones, mean, variance]);
    return {
      value,
      gradient: (dy, [x4s, hats, g, one, m, v]) => {
        const dyg = tf.reshape(tf.mul(dy, g), [1, rows, dim, 1]);
        const [dx4] = kernels('FusedBatchNormGradV3', attributes(), [dyg, x4s, one, m, v, one], 5);
        const dx = tf.reshape(dx4, x.shape);
        const dGamma = sumRows(tf.mul(dy, hats));
        return beta ? [dx, dGamma, sumRows(dy)] : [dx, dGamma];
      },
    };
  });
}

/** {@link layerNorm} as one kernel of our own, and one for its gradient. */
function layerNormOwn(x: tf.Tensor, gamma: tf.Tensor1D, beta: tf.Tensor1D | null, eps: number): tf.Tensor {
  return withGradient(beta ? [x, gamma, beta] : [x, gamma], (save) => {
    const inputs = [x, gamma, beta ?? tf.tensor1d([])];
    const [value, mean, inverse] = kernels('UnilabLayerNorm', [float('epsilon', eps)], inputs, 3);
    save([x, gamma, mean, inverse]);
    return {
      value,
      gradient: (dy, saved) => kernels('UnilabLayerNormGrad', [], [...saved, dy], 3).slice(0, beta ? 3 : 2),
    };
  });
}

/** {@link layerNorm} in plain tf.js operations. */
export function layerNormPlain(x: tf.Tensor, gamma: tf.Tensor1D, beta: tf.Tensor1D | null, eps = 1e-5): tf.Tensor {
  checkLast('layerNorm', x, gamma);
  if (beta) checkLast('layerNorm', x, beta);
  return tf.tidy(() => {
    const centered = tf.sub(x, tf.mean(x, -1, true));
    const variance = tf.mean(tf.square(centered), -1, true);
    const scaled = tf.mul(tf.mul(centered, tf.rsqrt(tf.add(variance, eps))), gamma);
    return beta ? tf.add(scaled, beta) : scaled;
  });
}

/**
 * RMS norm over the last axis (Zhang and Sennrich 2019): `x / sqrt(mean(x^2) + eps) * gamma`.
 * @param x `[..., dim]`
 * @param gamma `[dim]`
 * @param eps default 1e-6
 * @throws RangeError when `gamma` has another size than the last axis
 */
export function rmsNorm(x: tf.Tensor, gamma: tf.Tensor1D, eps = 1e-6): tf.Tensor {
  checkLast('rmsNorm', x, gamma);
  if (hasOwnKernel('UnilabRmsNorm') && x.size > 0) return rmsNormOwn(x, gamma, eps);
  return withGradient([x, gamma], (save) => {
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), eps));
    const hat = tf.mul(x, inverse);
    save([hat, inverse, gamma]);
    return {
      value: tf.mul(hat, gamma),
      gradient: (dy, [hats, inverses, g]) => {
        const dyHat = tf.mul(dy, hats);
        const dyg = tf.mul(dy, g);
        const mean = tf.mean(tf.mul(dyHat, g), -1, true);
        return [tf.mul(tf.sub(dyg, tf.mul(hats, mean)), inverses), sumRows(dyHat)];
      },
    };
  });
}

/** {@link rmsNorm} as one kernel of our own, and one for its gradient. */
function rmsNormOwn(x: tf.Tensor, gamma: tf.Tensor1D, eps: number): tf.Tensor {
  return withGradient([x, gamma], (save) => {
    const [value, inverse] = kernels('UnilabRmsNorm', [float('epsilon', eps)], [x, gamma], 2);
    save([x, gamma, inverse]);
    return { value, gradient: (dy, saved) => kernels('UnilabRmsNormGrad', [], [...saved, dy], 2) };
  });
}

/** {@link rmsNorm} in plain tf.js operations. */
export function rmsNormPlain(x: tf.Tensor, gamma: tf.Tensor1D, eps = 1e-6): tf.Tensor {
  checkLast('rmsNorm', x, gamma);
  return tf.tidy(() => tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), eps))), gamma));
}

/**
 * Group norm (Wu and He 2018) as PyTorch has it: each group of `channels / groups` neighboring channels is
 * normalized over its channels and all places of one image; then a scale and an offset for each channel.
 * @param x NHWC, `[batch, height, width, channels]`
 * @param gamma `[channels]`
 * @param beta `[channels]`
 * @param groups default 32; must divide the channels
 * @param eps default 1e-6
 * @throws RangeError when the sizes do not fit
 */
export function groupNorm(x: tf.Tensor, gamma: tf.Tensor1D, beta: tf.Tensor1D, groups = 32, eps = 1e-6): tf.Tensor {
  const { batch, places, channels, share, count } = groupSizes(x, gamma, beta, groups);
  // Our own kernel shares its work out by images.
  if (hasOwnKernels() && (batch >= availableParallelism() || x.size < 1e5)) {
    return withGradient([x, gamma, beta], (save) => {
      const x3 = tf.reshape(x, [batch, places, channels]);
      const attributes = [float('epsilon', eps), int('groups', groups)];
      const [value, mean, inverse] = kernels('UnilabGroupNorm', attributes, [x3, gamma, beta], 3);
      save([x3, gamma, mean, inverse]);
      return {
        value: tf.reshape(value, x.shape),
        gradient: (dy, saved) => {
          const dy3 = tf.reshape(dy, [batch, places, channels]);
          const [dx, ...rest] = kernels('UnilabGroupNormGrad', [int('groups', groups)], [...saved, dy3], 3);
          return [tf.reshape(dx, x.shape), ...rest];
        },
      };
    });
  }
  // [batch, channels] sums -> their group's sum, for each channel again
  const overGroup = (sums: tf.Tensor) =>
    tf.reshape(tf.tile(tf.sum(tf.reshape(sums, [batch, groups, share]), 2, true), [1, 1, share]), [batch, 1, channels]);
  return withGradient([x, gamma, beta], (save) => {
    const x3 = tf.reshape(x, [batch, places, channels]);
    const mean = tf.div(overGroup(tf.sum(x3, 1)), count);
    const variance = tf.div(overGroup(tf.sum(tf.squaredDifference(x3, mean), 1)), count);
    const inverse = tf.rsqrt(tf.add(variance, eps));
    const scale = tf.mul(inverse, gamma);
    const offset = tf.sub(beta, tf.mul(mean, scale));
    save([x3, mean, inverse, gamma]);
    return {
      value: tf.reshape(tf.add(tf.mul(x3, scale), offset), x.shape),
      gradient: (dyFull, [x3s, m, inv, g]) => {
        const dy = tf.reshape(dyFull, [batch, places, channels]);
        const sumDy = tf.sum(dy, 1, true);
        // sum over places of dy * normalized x
        const sumDyHat = tf.mul(tf.sub(tf.sum(tf.mul(dy, x3s), 1, true), tf.mul(m, sumDy)), inv);
        const meanDy = tf.div(overGroup(tf.squeeze(tf.mul(sumDy, g), [1])), count);
        const meanDyHat = tf.div(overGroup(tf.squeeze(tf.mul(sumDyHat, g), [1])), count);
        const a = tf.mul(inv, g);
        const b = tf.neg(tf.mul(tf.square(inv), meanDyHat));
        const c = tf.neg(tf.add(tf.mul(inv, meanDy), tf.mul(m, b)));
        const dx = tf.add(tf.add(tf.mul(dy, a), tf.mul(x3s, b)), c);
        return [tf.reshape(dx, x.shape), tf.sum(sumDyHat, [0, 1]), tf.sum(sumDy, [0, 1])];
      },
    };
  });
}

/** {@link groupNorm} in plain tf.js operations. */
export function groupNormPlain(
  x: tf.Tensor,
  gamma: tf.Tensor1D,
  beta: tf.Tensor1D,
  groups = 32,
  eps = 1e-6,
): tf.Tensor {
  const { batch, places, share } = groupSizes(x, gamma, beta, groups);
  return tf.tidy(() => {
    const grouped = tf.reshape(x, [batch, places, groups, share]);
    const centered = tf.sub(grouped, tf.mean(grouped, [1, 3], true));
    const variance = tf.mean(tf.square(centered), [1, 3], true);
    const normal = tf.reshape(tf.mul(centered, tf.rsqrt(tf.add(variance, eps))), x.shape);
    return tf.add(tf.mul(normal, gamma), beta);
  });
}

function groupSizes(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, groups: number) {
  if (x.rank !== 4) throw new RangeError(`groupNorm: expected [batch, height, width, channels], got [${x.shape}]`);
  const [batch, height, width, channels] = x.shape as number[];
  if (channels % groups !== 0) throw new RangeError(`groupNorm: ${groups} groups do not divide ${channels} channels`);
  checkLast('groupNorm', x, gamma);
  checkLast('groupNorm', x, beta);
  const places = height * width;
  const share = channels / groups;
  return { batch, places, channels, share, count: places * share };
}
