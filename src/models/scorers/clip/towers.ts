/** CLIP's two towers (Radford et al. 2021), as transformers names their parameters. */
import { tf } from '../../../engine';
import {
  declareEncoder,
  declareLayerNorm,
  declareLinear,
  encode,
  type EncoderNames,
  namedLayerNorm,
} from '../../../nn/encoder';
import type { ParameterSpec, Parameters } from '../../../nn/parameters';
import { checkRows, tableTensor, type TokenRows } from '../bert/rows';
import { imageTokens } from '../vision/tokens';
import { classToken } from '../vision/transformer';
import type { ClipConfig, ClipTextConfig, ClipVisionConfig } from './config';

/** What a tower gives; the tensors are the caller's to dispose. */
export interface TowerOutput {
  /** `[batch, tokens, hidden]`; of texts after the last norm, of images before it. */
  readonly lastHiddenState: tf.Tensor3D;
  /** `[batch, hidden]` after the last norm: the end token's state, or the class token's. */
  readonly poolerOutput: tf.Tensor2D;
}

const NAMES: EncoderNames = {
  norm1: 'layer_norm1',
  project: { query: 'self_attn.q_proj', key: 'self_attn.k_proj', value: 'self_attn.v_proj' },
  output: 'self_attn.out_proj',
  norm2: 'layer_norm2',
  up: 'mlp.fc1',
  down: 'mlp.fc2',
};

/** Added to attention scores where nothing is to be seen. */
const HIDDEN = -1e9;

/** Every parameter by its upstream name. @throws RangeError for widths that heads do not divide */
export function clipSpecs({ text, vision, projection, logitScale }: ClipConfig): Record<string, ParameterSpec> {
  const { grid, patch, channels } = vision;
  const init = { normal: 0.02 };
  const specs: Record<string, ParameterSpec> = {
    logit_scale: { shape: [], init: { constant: logitScale } },
    'text_model.embeddings.token_embedding.weight': { shape: [text.vocabulary, text.hidden], init },
    'text_model.embeddings.position_embedding.weight': { shape: [text.positions, text.hidden], init },
    'vision_model.embeddings.class_embedding': { shape: [vision.hidden], init },
    'vision_model.embeddings.patch_embedding.weight': {
      shape: [vision.hidden, channels, ...patch],
      init,
      layout: 'conv',
    },
    'vision_model.embeddings.position_embedding.weight': {
      shape: [1 + grid[0] * grid[1], vision.hidden],
      init,
    },
  };
  declareEncoder(specs, 'text_model.encoder.layers', text, NAMES);
  declareLayerNorm(specs, 'text_model.final_layer_norm', text.hidden);
  declareLayerNorm(specs, 'vision_model.pre_layrnorm', vision.hidden); // spelt so upstream
  declareEncoder(specs, 'vision_model.encoder.layers', vision, NAMES);
  declareLayerNorm(specs, 'vision_model.post_layernorm', vision.hidden);
  declareLinear(specs, 'text_projection', text.hidden, projection, false);
  declareLinear(specs, 'visual_projection', vision.hidden, projection, false);
  return specs;
}

/** @throws RangeError for rows that do not fit, or that hold no end token */
export function textTower(p: Parameters, config: ClipTextConfig, rows: TokenRows): TowerOutput {
  const [batch, tokens] = checkRows(rows, {
    model: 'CLIP',
    vocabulary: config.vocabulary,
    positions: config.positions,
  });
  const ends = rows.ids.map((row, r) => endOf(row, r, config.end));
  return tf.tidy(() => {
    const positions = tf.slice(p.get('text_model.embeddings.position_embedding.weight'), [0, 0], [tokens, -1]);
    const words = p.embedding('text_model.embeddings.token_embedding', tableTensor(rows.ids));
    const entering = tf.add<tf.Tensor3D>(words, positions);
    const last = encode(p, 'text_model.encoder.layers', config, NAMES, entering, textMask(rows, batch, tokens));
    const lastHiddenState = namedLayerNorm(p, 'text_model.final_layer_norm', last, config.eps) as tf.Tensor3D;
    const flat = tf.reshape<tf.Rank.R2>(lastHiddenState, [batch * tokens, config.hidden]);
    const at = tf.tensor1d(
      ends.map((end, r) => r * tokens + end),
      'int32',
    );
    return { lastHiddenState, poolerOutput: tf.gather(flat, at) };
  });
}

/** @throws RangeError for pixels of another shape, or of another size unless positions are interpolated */
export function visionTower(
  p: Parameters,
  config: ClipVisionConfig,
  pixels: tf.Tensor4D,
  interpolatePositions: boolean,
): TowerOutput {
  return tf.tidy(() => {
    const tokens = imageTokens(
      pixels,
      {
        weight: p.get('vision_model.embeddings.patch_embedding.weight') as tf.Tensor4D,
        bias: null,
        classToken: p.get('vision_model.embeddings.class_embedding'),
        positions: p.get('vision_model.embeddings.position_embedding.weight'),
      },
      config,
      interpolatePositions,
    );
    const entering = namedLayerNorm(p, 'vision_model.pre_layrnorm', tokens, config.eps) as tf.Tensor3D;
    const lastHiddenState = encode(p, 'vision_model.encoder.layers', config, NAMES, entering);
    const token = classToken(lastHiddenState);
    const poolerOutput = namedLayerNorm(p, 'vision_model.post_layernorm', token, config.eps) as tf.Tensor2D;
    return { lastHiddenState, poolerOutput };
  });
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
