/**
 * Chameleon's language model: LLaMA's decoder with norms on every head's queries and keys, over one vocabulary of text
 * and image codes.
 */
import { inFloat32, linear, tf } from '../../engine';
import type { KvCache } from '../../nn/kv-cache';
import { causalMask } from '../../nn/causal-mask';
import { declareLlama, llamaHidden, llamaLogits } from '../../nn/llama';
import type { ParameterSpec, Parameters } from '../../nn/parameters';
import type { ChameleonConfig } from './config';
import type { ChameleonVocabulary } from './vocabulary';

/** What transformers puts at the logits of image codes where text is to be said: float32's lowest number. */
export const MASKED_LOGIT = -3.4028234663852886e38;

/** Every parameter of the language model under its upstream name. */
export function chameleonSpecs(config: ChameleonConfig): Record<string, ParameterSpec> {
  const specs: Record<string, ParameterSpec> = {};
  declareLlama(specs, 'model', config.text);
  return specs;
}

export interface HiddenOptions {
  /** What came before the ids; they are added to it. */
  readonly cache?: KvCache;
  /** Tokens of padding on the left, the cache's included, one count a row. They are not seen. Default none. */
  readonly pads?: readonly number[];
  /** Position of every token, one list a row. Default: their place, padding counted. */
  readonly positions?: readonly (readonly number[])[];
  /** Added to attention scores, `[rows or 1, 1, tokens, keys]`, in place of causal attention and `pads`. */
  readonly mask?: tf.Tensor4D;
}

/**
 * Hidden states after the last norm, `[batch, tokens, hidden]`.
 * @param rows ids `[batch][tokens]`
 * @throws RangeError for rows of different lengths, or ids outside the vocabulary
 */
export function chameleonHidden(
  p: Parameters,
  config: ChameleonConfig,
  rows: readonly ArrayLike<number>[],
  options: HiddenOptions = {},
): tf.Tensor3D {
  const tokens = rows[0]?.length ?? 0;
  rows.forEach((row, b) => {
    if (row.length !== tokens || tokens === 0)
      throw new RangeError(`chameleon: row ${b} has ${row.length} tokens, row 0 has ${tokens}; one length, 1 at least`);
    for (let i = 0; i < tokens; i++)
      if (!(row[i] >= 0 && row[i] < config.text.vocab_size))
        throw new RangeError(`chameleon: id ${row[i]} at ${i} of row ${b} is outside 0..${config.text.vocab_size - 1}`);
  });
  return tf.tidy(() => {
    const flat = Int32Array.from(rows.flatMap((row) => Array.from(row)));
    const embeds = p.embedding('model.embed_tokens', tf.tensor2d(flat, [rows.length, tokens], 'int32'));
    const keys = (options.cache?.length ?? 0) + tokens;
    return llamaHidden(p, 'model', config.text, embeds as tf.Tensor3D, {
      cache: options.cache,
      positions: options.positions,
      mask: options.mask ?? (options.pads ? causalMask(tokens, keys, options.pads) : undefined),
    });
  });
}

/** Logits over the whole vocabulary, `[rows, vocab]`, of hidden states `[rows, hidden]`. */
export function chameleonLogits(p: Parameters, hidden: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => llamaLogits(p, hidden));
}

/** Logits over the image codes alone, `[rows, codes]`, in the order of their ids: an image needs no others. */
export function imageLogits(p: Parameters, v: ChameleonVocabulary, hidden: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const weight = p.get('lm_head.weight') as tf.Tensor2D;
    const [first, count] = [v.imageIds[0], v.imageIds.length];
    const together = v.imageIds[count - 1] - first === count - 1;
    const rows = together
      ? tf.slice(weight, [first, 0], [count, -1])
      : tf.gather(weight, tf.tensor1d(v.imageIds, 'int32'));
    return inFloat32(() => linear(hidden, rows)) as tf.Tensor2D;
  });
}

/** What is added to logits `[rows, vocab]` so that only text can be said: the codes and `banned` ids hidden, `[vocab]`. */
export function textMask(v: ChameleonVocabulary, banned: readonly number[] = []): tf.Tensor1D {
  // Far below any logit, and yet such that sums and softmax stay finite.
  const mask = Float32Array.from(v.codeOfId, (code) => (code >= 0 ? -1e9 : 0));
  for (const id of banned) mask[id] = -1e9;
  return tf.tensor1d(mask);
}

/** Logits as transformers gives them: image codes at float32's lowest number. @param logits `[..., vocab]` */
export function maskImageLogits<T extends tf.Tensor>(v: ChameleonVocabulary, logits: T): T {
  return tf.tidy(() => {
    const isCode = tf.tensor1d(
      Uint8Array.from(v.codeOfId, (code) => (code >= 0 ? 1 : 0)),
      'bool',
    );
    return tf.where(isCode, tf.fill(logits.shape, MASKED_LOGIT), logits) as T;
  });
}
