/** Janus as one object: configuration and weights; the forward passes that samplers, policies and trainers share. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../io/write-file';
import { embedding, type Rng, tf } from '../../engine';
import { openSafetensors, writeSafetensors } from '../../io';
import { declareLlama, type LlamaForwardOptions, llamaHidden, llamaLogits } from '../../nn/llama';
import { type ParameterSpec, Parameters } from '../../nn/parameters';
import { checkJanusConfig, type JanusConfig, type JanusTokens } from './config';
import { codeEmbeddings, codeLogits, declareGeneration, vqDecode, vqEncode } from './generation';
import { janusConfigFromOriginal, janusConfigToOriginal } from './original-config';
import { asOriginal, isOriginal, originalSource } from './original-weights';
import { janusConfigFromUpstream, janusConfigToUpstream, type Json } from './upstream-config';
import { alignFeatures, declareVision, visionFeatures } from './vision';

const LANGUAGE = 'model.language_model';

/** Every parameter of Janus under its upstream name. */
export function janusSpecs(config: JanusConfig): Record<string, ParameterSpec> {
  const specs: Record<string, ParameterSpec> = {};
  declareVision(specs, config);
  declareLlama(specs, LANGUAGE, config.text);
  declareGeneration(specs, config);
  return specs;
}

export interface LoadOptions {
  /** Ids of special tokens that the checkpoint's files do not name, or name wrongly. */
  readonly tokens?: Partial<JanusTokens>;
}

export interface SaveOptions {
  /** How the weights are stored. Default `BF16`; `F32` keeps every bit. */
  readonly dtype?: 'F32' | 'BF16';
  /** Above so many bytes the weights go into several files with an index. Default 5e9, as transformers. */
  readonly shardBytes?: number;
  /** Whose file it is to be: transformers' (default), or deepseek's own, as its repository reads it. */
  readonly layout?: 'transformers' | 'deepseek';
}

export class JanusModel {
  constructor(
    readonly config: JanusConfig,
    readonly parameters: Parameters,
  ) {
    checkJanusConfig(config);
  }

  /** A model with random weights. @throws JanusConfigError */
  static random(config: JanusConfig, rng: Rng): JanusModel {
    checkJanusConfig(config);
    return new JanusModel(config, Parameters.random(janusSpecs(config), rng));
  }

  /**
   * Loads a folder as transformers' `save_pretrained` writes it (and {@link JanusModel.savePretrained} too), or as
   * deepseek's own repository has it, with its names: `config.json`, weights as safetensors in one file or in shards;
   * `generation_config.json` and `tokenizer.json` where there are any. One tensor is read at a time.
   * @throws JanusConfigError, CheckpointMismatchError (every missing, unknown and mis-shaped tensor), SafetensorsError
   */
  static async fromPretrained(folder: string, { tokens }: LoadOptions = {}): Promise<JanusModel> {
    const file = path.join(folder, 'config.json');
    const json = await readJson(file);
    if (!json) throw new Error(`${file} is missing: ${folder} is no checkpoint of Janus`);
    const read = json.model_type === 'multi_modality' ? janusConfigFromOriginal : janusConfigFromUpstream;
    const config = read(json, file, {
      generation: await readJson(path.join(folder, 'generation_config.json')),
      named: tokenNames(await readJson(path.join(folder, 'tokenizer.json'))),
      given: tokens,
    });
    const reader = await openSafetensors(folder);
    try {
      const ignore = (name: string) => name.endsWith('.position_ids'); // a buffer of older files: 0, 1, 2, ...
      const source = isOriginal(reader.names) ? originalSource(reader) : reader;
      return new JanusModel(config, await Parameters.read(janusSpecs(config), source, folder, { ignore }));
    } finally {
      await reader.close();
    }
  }

  /**
   * Saves as {@link JanusModel.fromPretrained} and transformers read it; tied weights once. What stood there before
   * stays until the new weights are complete on the disk.
   */
  async savePretrained(folder: string, options: SaveOptions = {}): Promise<void> {
    const { dtype = 'BF16', shardBytes = 5e9, layout = 'transformers' } = options;
    const own = this.parameters.writable(dtype);
    const tensors = layout === 'deepseek' ? asOriginal(own) : own;
    await writeSafetensors(path.join(folder, 'model.safetensors'), tensors, { metadata: { format: 'pt' }, shardBytes });
    const write = (name: string, json: Json) =>
      writeFileAtomic(path.join(folder, name), `${JSON.stringify(json, null, 2)}\n`);
    const stored = dtype === 'F32' ? 'float32' : 'bfloat16';
    const files = janusConfigToUpstream(this.config, stored);
    await write('generation_config.json', files.generation);
    await write('config.json', layout === 'deepseek' ? janusConfigToOriginal(this.config, stored) : files.config);
  }

  /**
   * What the language model reads of images, `[images, features, hidden]`.
   * @param pixels `[images, image_size, image_size, 3]` in [-1, 1]
   */
  imageFeatures(pixels: tf.Tensor4D, p = this.parameters): tf.Tensor3D {
    return tf.tidy(() => alignFeatures(p, this.config, visionFeatures(p, this.config, pixels)));
  }

  /**
   * Embeddings of rows of ids, with images' features in the places of their placeholders: the first features go to
   * the first placeholder of the first row, and so on.
   * @param rows of one length
   * @param features `[images, features, hidden]` of {@link JanusModel.imageFeatures}; none for text alone
   * @returns `[rows, tokens, hidden]`
   * @throws RangeError for an id outside the vocabulary, or when placeholders and features differ in number
   */
  embed(rows: readonly ArrayLike<number>[], features?: tf.Tensor3D, p = this.parameters): tf.Tensor3D {
    const flat = this.flatIds(rows);
    const { image } = this.config.tokens;
    const shape: [number, number] = [rows.length, rows[0].length];
    return tf.tidy(() => {
      const text = p.embedding(`${LANGUAGE}.embed_tokens`, tf.tensor2d(flat, shape, 'int32')) as tf.Tensor3D;
      if (!features) return text;
      const width = this.config.text.hidden_size;
      const places = flat.reduce((count, id) => count + (id === image ? 1 : 0), 0);
      if (features.size !== places * width)
        throw new RangeError(
          `${places} placeholders (id ${image}) stand in the rows, but the features are [${features.shape}]: each placeholder takes one of ${width} numbers`,
        );
      // One look-up in both: rows of the text, then the features in order.
      let next = flat.length;
      const from = flat.map((id, i) => (id === image ? next++ : i));
      const both = tf.concat([tf.reshape(text, [-1, width]), tf.reshape(features, [-1, width])]);
      return embedding(both, tf.tensor2d(from, shape, 'int32')) as tf.Tensor3D;
    });
  }

  /** Embeddings of image codes, `[rows, codes, hidden]`. @throws RangeError for a code outside the codebook */
  embedCodes(codes: readonly ArrayLike<number>[], p = this.parameters): tf.Tensor3D {
    const flat = flatRows(codes, this.config.vq.num_embeddings, 'image code');
    return tf.tidy(() => codeEmbeddings(p, this.config, tf.tensor2d(flat, [codes.length, codes[0].length], 'int32')));
  }

  /** Hidden states after the last norm, `[rows, tokens, hidden]`, of embeddings of the same shape. */
  hidden(embeds: tf.Tensor3D, options: LlamaForwardOptions = {}, p = this.parameters): tf.Tensor3D {
    return llamaHidden(p, LANGUAGE, this.config.text, embeds, options);
  }

  /** Logits over the vocabulary, `[rows, vocab]`, of hidden states `[rows, hidden]`. */
  textLogits(hidden: tf.Tensor2D, p = this.parameters): tf.Tensor2D {
    return llamaLogits(p, hidden);
  }

  /** Logits over the image codes, `[rows, codes]`, of hidden states `[rows, hidden]`. */
  codeLogits(hidden: tf.Tensor2D, p = this.parameters): tf.Tensor2D {
    return codeLogits(p, this.config, hidden);
  }

  /** Pixels `[images, height, width, 3]` in [-1, 1] -> codes `[images, codes]` int32. */
  encodePixels(pixels: tf.Tensor4D): tf.Tensor2D {
    return vqEncode(this.parameters, this.config, pixels);
  }

  /** Codes `[images][codes]` -> pixels `[images, height, width, 3]`, about [-1, 1], not clipped. */
  decodeCodes(codes: readonly ArrayLike<number>[]): tf.Tensor4D {
    return vqDecode(this.parameters, this.config, codes);
  }

  dispose(): void {
    this.parameters.dispose();
  }

  private flatIds(rows: readonly ArrayLike<number>[]): Int32Array {
    return flatRows(rows, this.config.text.vocab_size, 'token');
  }
}

function flatRows(rows: readonly ArrayLike<number>[], size: number, what: string): Int32Array {
  const length = rows[0]?.length ?? 0;
  if (length === 0) throw new RangeError(`${what}s were expected, there are none`);
  const flat = new Int32Array(rows.length * length);
  rows.forEach((row, b) => {
    if (row.length !== length)
      throw new RangeError(
        `row ${b} has ${row.length} ${what}s, row 0 has ${length}; rows of one batch need one length`,
      );
    for (let i = 0; i < length; i++) {
      if (!(Number.isInteger(row[i]) && row[i] >= 0 && row[i] < size))
        throw new RangeError(`${what} ${row[i]} at ${i} of row ${b} is outside 0..${size - 1}`);
      flat[b * length + i] = row[i];
    }
  });
  return flat;
}

/** @returns undefined when there is no such file @throws Error naming a file that is no JSON object */
async function readJson(file: string): Promise<Json | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new Error(`${file} is no JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** Ids of the tokens that a `tokenizer.json` adds to its vocabulary, by what they say. */
function tokenNames(tokenizer: Json | undefined): Record<string, number> {
  const added = Array.isArray(tokenizer?.added_tokens)
    ? (tokenizer.added_tokens as { content: string; id: number }[])
    : [];
  return Object.fromEntries(added.map(({ content, id }) => [content, id]));
}
