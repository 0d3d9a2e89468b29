/** DETR's transformer (Carion et al. 2020): an encoder over places of the image, a decoder over object queries. */
import { attention, tf } from '../../../engine';
import { Conv2d, Embedding, LayerNorm, Linear } from '../../../nn/layers';
import { Module } from '../../../nn/module';
import { ResNet, type ResNetConfig } from './resnet';

export interface DetrConfig {
  readonly backbone: ResNetConfig;
  readonly width: number;
  readonly queries: number;
  readonly encoder: { readonly layers: number; readonly heads: number; readonly intermediate: number };
  readonly decoder: { readonly layers: number; readonly heads: number; readonly intermediate: number };
  /** Class by index; the last logit, "no object", has none. */
  readonly labels: readonly string[];
}

/** PyTorch's default. */
const EPS = 1e-5;

interface AttentionConfig {
  readonly width: number;
  readonly heads: number;
}

class Attention extends Module<AttentionConfig> {
  readonly q_proj = new Linear(this.config.width, this.config.width);
  readonly k_proj = new Linear(this.config.width, this.config.width);
  readonly v_proj = new Linear(this.config.width, this.config.width);
  readonly o_proj = new Linear(this.config.width, this.config.width);

  /** @param q, k with their positions, v without; `[batch, tokens, width]` */
  forward(q: tf.Tensor3D, k: tf.Tensor3D, v: tf.Tensor3D): tf.Tensor3D {
    const { width, heads } = this.config;
    const split = (x: tf.Tensor3D) =>
      tf.transpose(tf.reshape(x, [x.shape[0], x.shape[1], heads, width / heads]), [0, 2, 1, 3]);
    const [qs, ks, vs] = [this.q_proj.forward(q), this.k_proj.forward(k), this.v_proj.forward(v)].map(split);
    const mixed = tf.transpose(attention(qs, ks, vs, null), [0, 2, 1, 3]);
    return this.o_proj.forward(tf.reshape<tf.Rank.R3>(mixed, [q.shape[0], q.shape[1], width]));
  }
}

interface LayerConfig extends AttentionConfig {
  readonly intermediate: number;
}

class EncoderLayer extends Module<LayerConfig> {
  readonly self_attn = new Attention(this.config);
  readonly self_attn_layer_norm = new LayerNorm(this.config.width, EPS);
  readonly mlp = mlpOf(this.config);
  readonly final_layer_norm = new LayerNorm(this.config.width, EPS);

  forward(x: tf.Tensor3D, positions: tf.Tensor3D): tf.Tensor3D {
    return tf.tidy(() => {
      const placed = tf.add<tf.Tensor3D>(x, positions);
      const h = this.self_attn_layer_norm.forward(tf.add<tf.Tensor3D>(x, this.self_attn.forward(placed, placed, x)));
      return this.final_layer_norm.forward(tf.add<tf.Tensor3D>(h, feedForward(this.mlp, h)));
    });
  }
}

class DecoderLayer extends Module<LayerConfig> {
  readonly self_attn = new Attention(this.config);
  readonly self_attn_layer_norm = new LayerNorm(this.config.width, EPS);
  readonly encoder_attn = new Attention(this.config);
  readonly encoder_attn_layer_norm = new LayerNorm(this.config.width, EPS);
  readonly mlp = mlpOf(this.config);
  readonly final_layer_norm = new LayerNorm(this.config.width, EPS);

  /** @param keys the encoder's output with its positions, `values` without */
  forward(x: tf.Tensor3D, queries: tf.Tensor3D, keys: tf.Tensor3D, values: tf.Tensor3D): tf.Tensor3D {
    return tf.tidy(() => {
      const placed = tf.add<tf.Tensor3D>(x, queries);
      const own = tf.add<tf.Tensor3D>(x, this.self_attn.forward(placed, placed, x));
      const h = this.self_attn_layer_norm.forward(own);
      const seen = tf.add<tf.Tensor3D>(h, this.encoder_attn.forward(tf.add<tf.Tensor3D>(h, queries), keys, values));
      const after = this.encoder_attn_layer_norm.forward(seen);
      return this.final_layer_norm.forward(tf.add<tf.Tensor3D>(after, feedForward(this.mlp, after)));
    });
  }
}

interface Mlp {
  readonly fc1: Linear;
  readonly fc2: Linear;
}
const mlpOf = ({ width, intermediate }: LayerConfig): Mlp => ({
  fc1: new Linear(width, intermediate),
  fc2: new Linear(intermediate, width),
});
const feedForward = ({ fc1, fc2 }: Mlp, x: tf.Tensor3D): tf.Tensor3D => fc2.forward(tf.relu(fc1.forward(x)));

export interface DetrOutput {
  /** `[batch, queries, classes + 1]` */
  readonly logits: tf.Tensor3D;
  /** Center x, center y, width, height, as shares of the image, `[batch, queries, 4]`. */
  readonly boxes: tf.Tensor3D;
}

export class DetrNetwork extends Module<DetrConfig> {
  readonly backbone = new ResNet(this.config.backbone);
  readonly query_position_embeddings = new Embedding(this.config.queries, this.config.width);
  readonly input_projection = new Conv2d(this.config.backbone.hidden.at(-1) ?? 0, this.config.width, 1);
  readonly encoder = {
    layers: Array.from(
      { length: this.config.encoder.layers },
      () => new EncoderLayer({ width: this.config.width, ...this.config.encoder }),
    ),
  };
  readonly decoder = {
    layers: Array.from(
      { length: this.config.decoder.layers },
      () => new DecoderLayer({ width: this.config.width, ...this.config.decoder }),
    ),
    layernorm: new LayerNorm(this.config.width, EPS),
  };
  readonly class_labels_classifier = new Linear(this.config.width, this.config.labels.length + 1);
  readonly bbox_predictor = {
    layers: [this.config.width, this.config.width, 4].map((outputs) => new Linear(this.config.width, outputs)),
  };

  /** @param pixels `[batch, height, width, 3]`, normalized, of one size; nothing of it is padding */
  forward(pixels: tf.Tensor4D): DetrOutput {
    return tf.tidy(() => {
      const { width, queries } = this.config;
      const features = this.input_projection.forward(this.backbone.forward(pixels));
      const [batch, rows, columns] = features.shape;
      const positions = sinePositions(rows, columns, width);
      let memory = tf.reshape<tf.Rank.R3>(features, [batch, rows * columns, width]);
      for (const layer of this.encoder.layers) memory = layer.forward(memory, positions);
      const keys = tf.add<tf.Tensor3D>(memory, positions);
      const asked = tf.expandDims<tf.Tensor3D>(this.query_position_embeddings.weight.value, 0);
      let h: tf.Tensor3D = tf.zeros([batch, queries, width]);
      for (const layer of this.decoder.layers) h = layer.forward(h, asked, keys, memory);
      const out = this.decoder.layernorm.forward(h);
      const [first, second, last] = this.bbox_predictor.layers;
      const corners = last.forward(tf.relu(second.forward(tf.relu(first.forward(out)))));
      return { logits: this.class_labels_classifier.forward(out), boxes: tf.sigmoid(corners) };
    });
  }
}

/**
 * Sines and cosines of both coordinates, which run to 2 pi over the image: rows in the first half of the width, columns
 * in the second. `[1, rows * columns, width]`
 */
export function sinePositions(rows: number, columns: number, width: number): tf.Tensor3D {
  const half = width / 2;
  const out = new Float32Array(rows * columns * width);
  const fill = (at: number, share: number) => {
    for (let i = 0; i < half; i++) {
      const angle = (share * 2 * Math.PI) / 10000 ** ((2 * Math.floor(i / 2)) / half);
      out[at + i] = i % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    }
  };
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const at = (y * columns + x) * width;
      fill(at, (y + 1) / (rows + 1e-6));
      fill(at + half, (x + 1) / (columns + 1e-6));
    }
  return tf.tensor3d(out, [1, rows * columns, width]);
}
