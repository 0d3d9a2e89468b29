/** Backbones by name: the one place that knows which there are. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { StorageType } from '../nn/parameter-values';
import { ChameleonModel } from './chameleon/model';
import { JanusModel } from './janus/model';
import { ShowoModel } from './showo/model';
import type { UnifiedModel } from './unified';

/** By `model_type` of the configuration. */
const LOADERS: Readonly<Record<string, (folder: string, options: LoadOptions) => Promise<UnifiedModel>>> = {
  showo: (folder, options) => ShowoModel.fromPretrained(folder, options),
  chameleon: (folder, options) => ChameleonModel.fromPretrained(folder, options),
  chameleon_xllmx: (folder, options) => ChameleonModel.fromPretrained(folder, { ...options, layout: 'lumina' }),
  janus: (folder, options) => JanusModel.fromPretrained(folder, options),
  multi_modality: (folder, options) => JanusModel.fromPretrained(folder, options), // deepseek's own files of Janus
};

export interface LoadOptions {
  /** `BF16`: frozen, in half the memory, for inference or as the base under adapters. Default `F32`. */
  readonly dtype?: StorageType;
}

/**
 * Loads a checkpoint in Hugging Face's layout, whichever backbone it is of.
 * @throws Error when there is no `config.json`, or it names no backbone that is known
 */
export async function loadModel(folder: string, options: LoadOptions = {}): Promise<UnifiedModel> {
  const file = path.join(folder, 'config.json');
  let type: unknown;
  try {
    type = (JSON.parse(await readFile(file, 'utf8')) as { model_type?: unknown }).model_type;
  } catch (error) {
    throw new Error(`${file} cannot be read as a model's configuration: ${(error as Error).message}`, { cause: error });
  }
  const load = typeof type === 'string' && Object.hasOwn(LOADERS, type) ? LOADERS[type] : undefined;
  if (!load)
    throw new Error(`${file}: model_type is ${JSON.stringify(type)}, expected ${Object.keys(LOADERS).join(', ')}`);
  return load(folder, options);
}
