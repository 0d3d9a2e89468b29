/**
 * The convolutional blocks that VQGAN-style image tokenizers share (taming-transformers' names): residual block,
 * one-head attention over positions, down- and upsampling. Tensors are NHWC.
 */
import { attention, groupNorm, silu, tf } from '../engine';
import type { ParameterSpec, Parameters } from './parameters';

type MutableSpecs = Record<string, ParameterSpec>;

/** Weight `[out, in, size, size]` (Kaiming-uniform's variance, as PyTorch's default) and bias. */
export function declareConv(
  specs: MutableSpecs,
  name: string,
  inChannels: number,
  outChannels: number,
  size: number,
): void {
  const std = 1 / Math.sqrt(3 * inChannels * size * size);
  specs[`${name}.weight`] = { shape: [outChannels, inChannels, size, size], init: { normal: std }, layout: 'conv' };
  specs[`${name}.bias`] = { shape: [outChannels], init: { constant: 0 } };
}

/** GroupNorm's scale and shift. */
export function declareNorm(specs: MutableSpecs, name: string, channels: number): void {
  specs[`${name}.weight`] = { shape: [channels], init: { constant: 1 } };
  specs[`${name}.bias`] = { shape: [channels], init: { constant: 0 } };
}

/** `[batch, height, width, in]` -> `[batch, height / stride, width / stride, out]`; `same` padding unless given. */
export function conv(
  p: Parameters,
  name: string,
  x: tf.Tensor4D,
  stride = 1,
  pad: 'same' | 'valid' = 'same',
): tf.Tensor4D {
  return tf.add(tf.conv2d(x, p.get(`${name}.weight`) as tf.Tensor4D, stride, pad), p.get(`${name}.bias`));
}

/** Groups of GroupNorm in the published tokenizers. */
export const VQGAN_GROUPS = 32;

/** GroupNorm, eps 1e-6, then swish. */
export function normSilu(p: Parameters, name: string, x: tf.Tensor4D, groups = VQGAN_GROUPS): tf.Tensor4D {
  return tf.tidy(() => silu(norm(p, name, x, groups)) as tf.Tensor4D);
}

/** GroupNorm, eps 1e-6. */
export function norm(p: Parameters, name: string, x: tf.Tensor4D, groups = VQGAN_GROUPS): tf.Tensor4D {
  return groupNorm(
    x,
    p.get(`${name}.weight`) as tf.Tensor1D,
    p.get(`${name}.bias`) as tf.Tensor1D,
    groups,
    1e-6,
  ) as tf.Tensor4D;
}

export function declareResBlock(specs: MutableSpecs, name: string, inChannels: number, outChannels: number): void {
  declareNorm(specs, `${name}.norm1`, inChannels);
  declareConv(specs, `${name}.conv1`, inChannels, outChannels, 3);
  declareNorm(specs, `${name}.norm2`, outChannels);
  declareConv(specs, `${name}.conv2`, outChannels, outChannels, 3);
  if (inChannels !== outChannels) declareConv(specs, `${name}.nin_shortcut`, inChannels, outChannels, 1);
}

/** Two norm-swish-conv layers around a shortcut. */
export function resBlock(p: Parameters, name: string, x: tf.Tensor4D, groups = VQGAN_GROUPS): tf.Tensor4D {
  // A tidy of its own: of large images, what every block computes on its way would fill the memory.
  return tf.tidy(() => {
    let h = conv(p, `${name}.conv1`, normSilu(p, `${name}.norm1`, x, groups));
    h = conv(p, `${name}.conv2`, normSilu(p, `${name}.norm2`, h, groups));
    return tf.add<tf.Tensor4D>(p.has(`${name}.nin_shortcut.weight`) ? conv(p, `${name}.nin_shortcut`, x) : x, h);
  });
}

export function declareAttnBlock(specs: MutableSpecs, name: string, channels: number): void {
  declareNorm(specs, `${name}.norm`, channels);
  for (const part of ['q', 'k', 'v', 'proj_out']) declareConv(specs, `${name}.${part}`, channels, channels, 1);
}

/** One head over all positions, scale channels^-1/2. */
export function attnBlock(p: Parameters, name: string, x: tf.Tensor4D, groups = VQGAN_GROUPS): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  return tf.tidy(() => {
    const h = norm(p, `${name}.norm`, x, groups);
    const part = (key: string) =>
      tf.reshape<tf.Rank.R4>(conv(p, `${name}.${key}`, h), [batch, 1, height * width, channels]);
    const mixed = attention(part('q'), part('k'), part('v'), null, channels ** -0.5);
    return tf.add<tf.Tensor4D>(
      x,
      conv(p, `${name}.proj_out`, tf.reshape<tf.Rank.R4>(mixed, [batch, height, width, channels])),
    );
  });
}

/** Zeros on the right and at the bottom, then 3x3 with stride 2: half the size. */
export function downsample(p: Parameters, name: string, x: tf.Tensor4D): tf.Tensor4D {
  const padded = tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]]); // prettier-ignore
  return conv(p, `${name}.conv`, padded, 2, 'valid');
}

/** Nearest neighbor to twice the size, then 3x3. */
export function upsample(p: Parameters, name: string, x: tf.Tensor4D): tf.Tensor4D {
  return conv(p, `${name}.conv`, repeat2(x));
}

/** Every pixel twice along both axes. Concatenation, because it has a correct gradient on every engine. */
export function repeat2(x: tf.Tensor4D): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const wide = tf.reshape(tf.concat([x, x], 3), [batch, height, width * 2 * channels]);
  return tf.reshape(tf.concat([wide, wide], 2), [batch, height * 2, width * 2, channels]);
}
