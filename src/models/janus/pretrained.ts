/** Janus in a folder: read as transformers and deepseek publish it, and saved so that both read it. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { openSafetensors, writeSafetensors } from '../../io';
import { type FileJob, writeFilesAtomic } from '../../io/write-file';
import type { StorageType } from '../../nn/parameter-values';
import { ParamStore } from '../../nn/store';
import { loadTokenizer, type TextTokenizer } from '../../text/tokenizer';
import { ConceptTokens } from './concept-tokens';
import type { JanusConfig, JanusTokens } from './config';
import { JanusLayers, JanusNetwork } from './network';
import { janusConfigFromDeepseek, janusConfigToDeepseek } from './upstream/deepseek-config';
import { asDeepseek, deepseekSource, isDeepseek } from './upstream/deepseek-weights';
import { janusConfigFromTransformers, janusConfigToTransformers, type Json } from './upstream/transformers-config';

export interface LoadOptions {
  /** Ids of special tokens that the checkpoint's files do not name, or name wrongly. */
  readonly tokens?: Partial<JanusTokens>;
  /** Default: the folder's `tokenizer.json`. */
  readonly tokenizer?: TextTokenizer;
  /** `BF16`: all weights frozen, in half the memory, for inference or as the base under adapters. Default `F32`. */
  readonly dtype?: StorageType;
}

export interface SaveOptions {
  /** How the weights are stored. Default `BF16`; `F32` keeps every bit. */
  readonly dtype?: 'F32' | 'BF16';
  /** Above so many bytes the weights go into several files with an index. Default 5e9, as transformers. */
  readonly shardBytes?: number;
  /** Whose file it is to be: transformers' (default), or deepseek's own, as its repository reads it. */
  readonly layout?: 'transformers' | 'deepseek';
}

/** See `JanusModel.fromPretrained`. */
export async function readPretrained(
  folder: string,
  { tokens, tokenizer, dtype }: LoadOptions = {},
): Promise<{ network: JanusNetwork; tokenizer: TextTokenizer }> {
  const config = await readConfig(folder, tokens);
  // Before the weights, which may take minutes.
  const text = tokenizer ?? loadTokenizer(path.join(folder, 'tokenizer.json'));
  const network = await readNetwork(folder, config, dtype);
  try {
    network.concept = await ConceptTokens.load(folder, config.text);
    return { network, tokenizer: text };
  } catch (error) {
    network.dispose();
    throw error;
  }
}

/** The configuration of a folder. @throws JanusConfigError; Error when there is none */
export async function readConfig(folder: string, tokens?: Partial<JanusTokens>): Promise<JanusConfig> {
  const file = path.join(folder, 'config.json');
  const json = await readJson(file);
  if (!json) throw new Error(`${file} is missing: ${folder} is no checkpoint of Janus`);
  const read = json.model_type === 'multi_modality' ? janusConfigFromDeepseek : janusConfigFromTransformers;
  return read(json, file, {
    generation: await readJson(path.join(folder, 'generation_config.json')),
    named: tokenNames(await readJson(path.join(folder, 'tokenizer.json'))),
    given: tokens,
  });
}

/** The weights of a folder, one tensor at a time. @throws CheckpointMismatchError, SafetensorsError */
export async function readNetwork(folder: string, config: JanusConfig, dtype?: StorageType): Promise<JanusNetwork> {
  const reader = await openSafetensors(folder);
  try {
    const ignore = (name: string) => name.endsWith('.position_ids'); // a buffer of older files: 0, 1, 2, ...
    const source = isDeepseek(reader.names) ? deepseekSource(reader) : reader;
    const store = await ParamStore.read(JanusLayers.of(config), source, folder, { ignore }, dtype);
    return new JanusNetwork(config, store);
  } finally {
    await reader.close();
  }
}

/** See `JanusModel.savePretrained`. */
export async function writePretrained(
  folder: string,
  { config, store, concept }: Pick<JanusNetwork, 'config' | 'store' | 'concept'>,
  tokenizer: TextTokenizer,
  { dtype = 'BF16', shardBytes = 5e9, layout = 'transformers' }: SaveOptions = {},
): Promise<void> {
  const own = store.writable(dtype);
  const tensors = layout === 'deepseek' ? asDeepseek(own) : own;
  await writeSafetensors(path.join(folder, 'model.safetensors'), tensors, { metadata: { format: 'pt' }, shardBytes });
  await ConceptTokens.save(folder, concept);
  const stored = dtype === 'F32' ? 'float32' : 'bfloat16';
  const files = janusConfigToTransformers(config, stored);
  const job = (name: string, json: object): FileJob => ({
    file: path.join(folder, name),
    write: (put) => put(Buffer.from(`${JSON.stringify(json, null, 2)}\n`)),
  });
  // The configuration last: a folder that has one is whole.
  await writeFilesAtomic([
    job('tokenizer.json', tokenizer.json),
    job('generation_config.json', files.generation),
    job('config.json', layout === 'deepseek' ? janusConfigToDeepseek(config, stored) : files.config),
  ]);
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
