/** ResNet (He et al. 2016) as a backbone, in transformers' names; its batch norms are frozen, as DETR has them. NHWC. */
import { tf } from '../../../engine';
import { Conv2d } from '../../../nn/layers';
import { Module, Parameter } from '../../../nn/module';

export interface ResNetConfig {
  /** Channels of the stem. */
  readonly embedding: number;
  /** Channels and blocks of each stage. */
  readonly hidden: readonly number[];
  readonly depths: readonly number[];
  readonly block: 'basic' | 'bottleneck';
  /** Whether the first stage halves the size too. */
  readonly downsampleFirst: boolean;
}

/** How much narrower the middle of a bottleneck is. */
const REDUCTION = 4;

/** Batch norm whose statistics do not change: a scale and a shift a channel. */
class FrozenBatchNorm extends Module<{ readonly channels: number }> {
  readonly weight = new Parameter<tf.Tensor1D>([this.config.channels], { constant: 1 });
  readonly bias = new Parameter<tf.Tensor1D>([this.config.channels], { constant: 0 });
  readonly running_mean = new Parameter<tf.Tensor1D>([this.config.channels], { constant: 0 });
  readonly running_var = new Parameter<tf.Tensor1D>([this.config.channels], { constant: 1 });

  forward(x: tf.Tensor4D): tf.Tensor4D {
    const scale = tf.mul(this.weight.value, tf.rsqrt(tf.add(this.running_var.value, 1e-5)));
    const shift = tf.sub(this.bias.value, tf.mul(this.running_mean.value, scale));
    return tf.add(tf.mul(x, scale), shift);
  }
}

interface ConvConfig {
  readonly inputs: number;
  readonly outputs: number;
  readonly size: number;
  readonly stride?: number;
}

/** Convolution with PyTorch's padding (size // 2 on every side), then the norm. */
class ConvNorm extends Module<ConvConfig> {
  readonly convolution = new Conv2d(this.config.inputs, this.config.outputs, this.config.size, {
    stride: this.config.stride ?? 1,
    pad: 'valid',
    bias: false,
  });
  readonly normalization = new FrozenBatchNorm({ channels: this.config.outputs });

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return this.normalization.forward(this.convolution.forward(padded(x, Math.floor(this.config.size / 2))));
  }
}

const padded = (x: tf.Tensor4D, by: number): tf.Tensor4D =>
  by === 0
    ? x
    : tf.pad(x, [
        [0, 0],
        [by, by],
        [by, by],
        [0, 0],
      ]);

interface BlockConfig {
  readonly inputs: number;
  readonly outputs: number;
  readonly stride: number;
  readonly kind: ResNetConfig['block'];
}

class Block extends Module<BlockConfig> {
  readonly shortcut =
    this.config.inputs === this.config.outputs && this.config.stride === 1
      ? undefined
      : new ConvNorm({ ...this.config, size: 1 });
  readonly layer = layersOf(this.config);

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      let h = x;
      for (const [i, layer] of this.layer.entries()) {
        h = layer.forward(h);
        if (i < this.layer.length - 1) h = tf.relu(h);
      }
      return tf.relu(tf.add<tf.Tensor4D>(this.shortcut?.forward(x) ?? x, h));
    });
  }
}

function layersOf({ inputs, outputs, stride, kind }: BlockConfig): ConvNorm[] {
  if (kind === 'basic')
    return [new ConvNorm({ inputs, outputs, size: 3, stride }), new ConvNorm({ inputs: outputs, outputs, size: 3 })];
  const narrow = outputs / REDUCTION;
  return [
    new ConvNorm({ inputs, outputs: narrow, size: 1 }),
    new ConvNorm({ inputs: narrow, outputs: narrow, size: 3, stride }),
    new ConvNorm({ inputs: narrow, outputs, size: 1 }),
  ];
}

/** Features of the last stage. */
export class ResNet extends Module<ResNetConfig> {
  readonly embedder = {
    embedder: new ConvNorm({ inputs: 3, outputs: this.config.embedding, size: 7, stride: 2 }),
  };
  readonly encoder = {
    stages: this.config.hidden.map((outputs, s) => ({
      layers: Array.from({ length: this.config.depths[s] }, (_, i) => {
        const before = s === 0 ? this.config.embedding : this.config.hidden[s - 1];
        const halves = i === 0 && (s > 0 || this.config.downsampleFirst);
        return new Block({
          inputs: i === 0 ? before : outputs,
          outputs,
          stride: halves ? 2 : 1,
          kind: this.config.block,
        });
      }),
    })),
  };

  /** @param pixels `[batch, height, width, 3]` @returns `[batch, height / 32, width / 32, channels]`, rounded up */
  forward(pixels: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      // Zeros around are no larger than what a ReLU leaves, so that they never win the maximum.
      let h = tf.maxPool(padded(tf.relu(this.embedder.embedder.forward(pixels)), 1), 3, 2, 'valid');
      for (const { layers } of this.encoder.stages) for (const block of layers) h = block.forward(h);
      return h;
    });
  }
}
