/** CLIP's two towers (Radford et al. 2021), as transformers names their parameters. */
import { tf } from '../../../engine';
import { EncoderBlock, type EncoderParts, runBlocks } from '../../../nn/encoder';
import { Embedding, LayerNorm, Linear } from '../../../nn/layers';
import { Module, Parameter } from '../../../nn/module';
import { PatchEmbedding } from '../../../nn/patches';
import { checkRows, tableTensor, type TokenRows } from '../bert/rows';
import { classToken, imageTokens } from '../vision/tokens';
import type { ClipConfig, ClipTextConfig, ClipVisionConfig } from './config';

/** What a tower gives; the tensors are the caller's to dispose. */
export interface TowerOutput {
  /** `[batch, tokens, hidden]`; of texts after the last norm, of images before it. */
  readonly lastHiddenState: tf.Tensor3D;
  /** `[batch, hidden]` after the last norm: the end token's state, or the class token's. */
  readonly poolerOutput: tf.Tensor2D;
}

/** Added to attention scores where nothing is to be seen. */
const HIDDEN = -1e9;

export class ClipBlock extends EncoderBlock {
  readonly layer_norm1 = this.newNorm();
  readonly self_attn = {
    q_proj: this.newProjection(),
    k_proj: this.newProjection(),
    v_proj: this.newProjection(),
    out_proj: this.newOutput(),
  };
  readonly layer_norm2 = this.newNorm();
  readonly mlp = this.newMlp();

  protected parts(): EncoderParts {
    const { q_proj: query, k_proj: key, v_proj: value, out_proj: output } = this.self_attn;
    const { fc1: up, fc2: down } = this.mlp;
    return { norm1: this.layer_norm1, project: { query, key, value }, output, norm2: this.layer_norm2, up, down };
  }
}

export class ClipTextTower extends Module<ClipTextConfig> {
  readonly embeddings = {
    token_embedding: new Embedding(this.config.vocabulary, this.config.hidden),
    position_embedding: new Embedding(this.config.positions, this.config.hidden),
  };
  readonly encoder = { layers: Array.from({ length: this.config.layers }, () => new ClipBlock(this.config)) };
  readonly final_layer_norm = new LayerNorm(this.config.hidden, this.config.eps);

  /** @throws RangeError for rows that do not fit, or that hold no end token */
  forward(rows: TokenRows): TowerOutput {
    const { vocabulary, positions, end, hidden } = this.config;
    const [batch, tokens] = checkRows(rows, { model: 'CLIP', vocabulary, positions });
    const ends = rows.ids.map((row, r) => endOf(row, r, end));
    return tf.tidy(() => {
      const places = tf.slice(this.embeddings.position_embedding.weight.value, [0, 0], [tokens, -1]);
      const words = this.embeddings.token_embedding.forward(tableTensor(rows.ids));
      const last = runBlocks(this.encoder.layers, tf.add(words, places), textMask(rows, batch, tokens));
      const lastHiddenState = this.final_layer_norm.forward(last);
      const flat = tf.reshape<tf.Rank.R2>(lastHiddenState, [batch * tokens, hidden]);
      const at = ends.map((place, r) => r * tokens + place);
      return { lastHiddenState, poolerOutput: tf.gather(flat, tf.tensor1d(at, 'int32')) };
    });
  }
}

export class ClipVisionTower extends Module<ClipVisionConfig> {
  private readonly tokens = 1 + this.config.grid[0] * this.config.grid[1];
  readonly embeddings = {
    class_embedding: new Parameter<tf.Tensor1D>([this.config.hidden], { normal: 0.02 }),
    patch_embedding: new PatchEmbedding(this.config.channels, this.config.hidden, this.config.patch, { bias: false }),
    position_embedding: new Embedding(this.tokens, this.config.hidden),
  };
  /** Spelt so upstream. */
  readonly pre_layrnorm = new LayerNorm(this.config.hidden, this.config.eps);
  readonly encoder = { layers: Array.from({ length: this.config.layers }, () => new ClipBlock(this.config)) };
  readonly post_layernorm = new LayerNorm(this.config.hidden, this.config.eps);

  /** @throws RangeError for pixels of another shape, or of another size unless positions are interpolated */
  forward(pixels: tf.Tensor4D, interpolatePositions: boolean): TowerOutput {
    const { class_embedding, patch_embedding: patches, position_embedding } = this.embeddings;
    return tf.tidy(() => {
      const parts = { patches, classToken: class_embedding.value, positions: position_embedding.weight.value };
      const tokens = imageTokens(pixels, parts, this.config, interpolatePositions);
      const lastHiddenState = runBlocks(this.encoder.layers, this.pre_layrnorm.forward(tokens));
      return { lastHiddenState, poolerOutput: this.post_layernorm.forward(classToken(lastHiddenState)) };
    });
  }
}

export class ClipNetwork extends Module<ClipConfig> {
  readonly logit_scale = new Parameter<tf.Scalar>([], { constant: this.config.logitScale });
  readonly text_model = new ClipTextTower(this.config.text);
  readonly vision_model = new ClipVisionTower(this.config.vision);
  readonly text_projection = new Linear(this.config.text.hidden, this.config.projection, { bias: false });
  readonly visual_projection = new Linear(this.config.vision.hidden, this.config.projection, { bias: false });
}

/** Where a text ends. */
function endOf(row: ArrayLike<number>, r: number, end: number): number {
  if (end === 2) {
    let largest = 0;
    for (let i = 1; i < row.length; i++) if (row[i] > row[largest]) largest = i;
    return largest;
  }
  const at = Array.from(row).indexOf(end);
  if (at < 0) throw new RangeError(`CLIP: row ${r} holds no end token (${end}), whose state is the text's`);
  return at;
}

/** Each token sees itself and those before it, padding apart: `[batch or 1, 1, tokens, tokens]`. */
function textMask({ mask }: TokenRows, batch: number, tokens: number): tf.Tensor4D {
  const tables = mask ? batch : 1;
  const out = new Float32Array(tables * tokens * tokens);
  for (let b = 0; b < tables; b++)
    for (let i = 0; i < tokens; i++)
      for (let j = 0; j < tokens; j++) if (j > i || mask?.[b][j] === 0) out[(b * tokens + i) * tokens + j] = HIDDEN;
  return tf.tensor4d(out, [tables, 1, tokens, tokens]);
}
