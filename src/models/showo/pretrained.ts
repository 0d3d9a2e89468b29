/** Show-o's folder on disk: `config.json`, `model.safetensors` or its shards, `tokenizer.safetensors`, `tokenizer.json`. */
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { openSafetensors, readSafetensors, writeSafetensors } from '../../io';
import { writeFileAtomic } from '../../io/write-file';
import type { StorageType } from '../../nn/parameter-values';
import { ParamStore } from '../../nn/store';
import { loadTokenizer, type TextTokenizer } from '../../text/tokenizer';
import { loadConcept, saveConcept } from './concept-tokens';
import type { ShowoConfig } from './config';
import { type MagvitConfig, MagvitTokenizer } from './image-tokenizer';
import { ShowoLayers } from './layers';
import type { ShowoParts } from './parts';

/** What `config.json` of a UniLab checkpoint of Show-o holds. */
export interface ShowoFile {
  readonly model_type: 'showo';
  readonly transformer: ShowoConfig;
  readonly tokenizer: MagvitConfig;
}

export interface LoadOptions {
  /** `BF16`: the language model frozen, in half the memory, for inference or as the base under adapters. Default `F32`. */
  readonly dtype?: StorageType;
}

export interface SaveOptions {
  /** How the weights are stored. Default `BF16`; `F32` keeps every bit. */
  readonly dtype?: 'F32' | 'BF16';
  /** Above so many bytes the transformer goes into several files with an index. Default: one file. */
  readonly shardBytes?: number;
}

/** What of a model is in its files of weights. */
export type ShowoWeights = Pick<ShowoParts, 'layers' | 'store' | 'magvit' | 'concept'>;

/**
 * Layers with their numbers, a subject's tokens, and the image tokenizer of a folder that {@link saveParts} wrote.
 * @param known the folder's configuration, where it was read before
 * @throws CheckpointMismatchError, or an error naming the file that is missing or damaged
 */
export async function loadParts(folder: string, { dtype }: LoadOptions = {}, known?: ShowoFile): Promise<ShowoWeights> {
  const config = known ?? (await readConfig(folder));
  const imagesFile = path.join(folder, 'tokenizer.safetensors');
  const magvit = MagvitTokenizer.fromTensors(config.tokenizer, await readSafetensors(imagesFile), imagesFile);
  let store: ParamStore | undefined;
  try {
    const plain = new ShowoLayers(config.transformer);
    const reader = await openSafetensors(folder); // model.safetensors, or its shards and index
    try {
      store = await ParamStore.read(plain, reader, folder, {}, dtype);
    } finally {
      await reader.close();
    }
    const layers = plain.with(store);
    return { layers, store, magvit, concept: await loadConcept(folder, layers) };
  } catch (error) {
    store?.dispose();
    magvit.dispose();
    throw error;
  }
}

/** The text tokenizer of a folder. @throws Error naming the file when it is missing or no tokenizer */
export function loadText(folder: string): TextTokenizer {
  return loadTokenizer(path.join(folder, 'tokenizer.json'));
}

/** Saves as {@link loadParts} reads; `config.json` last, so that a half-written folder is not a checkpoint. */
export async function saveParts(
  folder: string,
  { layers, store, magvit, concept }: ShowoWeights,
  text: TextTokenizer,
  { dtype = 'BF16', shardBytes }: SaveOptions = {},
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await writeFileAtomic(path.join(folder, 'tokenizer.json'), `${JSON.stringify(text.json, null, 2)}\n`);
  await writeSafetensors(path.join(folder, 'tokenizer.safetensors'), magvit.parameters.writable(dtype));
  await writeSafetensors(path.join(folder, 'model.safetensors'), store.writable(dtype), { shardBytes });
  await saveConcept(folder, concept);
  const file: ShowoFile = { model_type: 'showo', transformer: layers.config, tokenizer: magvit.config };
  await writeFileAtomic(path.join(folder, 'config.json'), `${JSON.stringify(file, null, 2)}\n`);
}

/** `config.json` of a folder. @throws Error naming the file when it cannot be read or is another model's */
export async function readConfig(folder: string): Promise<ShowoFile> {
  const file = path.join(folder, 'config.json');
  let config: ShowoFile;
  try {
    config = JSON.parse(await readFile(file, 'utf8')) as ShowoFile;
  } catch (error) {
    throw new Error(`${file} cannot be read as a Show-o checkpoint's configuration: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (config.model_type !== 'showo')
    throw new Error(`${file}: model_type is ${JSON.stringify(config.model_type)}, expected "showo"`);
  return config;
}
