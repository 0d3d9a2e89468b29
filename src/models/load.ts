/** Backbones by name: the one place that knows which there are. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ChameleonModel } from './chameleon/model';
import { JanusModel } from './janus/model';
import { ShowoModel } from './showo/model';
import type { UnifiedModel } from './unified';

/** By `model_type` of the configuration. */
const LOADERS: Readonly<Record<string, (folder: string) => Promise<UnifiedModel>>> = {
  showo: (folder) => ShowoModel.fromPretrained(folder),
  chameleon: (folder) => ChameleonModel.fromPretrained(folder),
  chameleon_xllmx: (folder) => ChameleonModel.fromPretrained(folder, { layout: 'lumina' }),
  janus: (folder) => JanusModel.fromPretrained(folder),
  multi_modality: (folder) => JanusModel.fromPretrained(folder), // deepseek's own files of Janus
};

/**
 * Loads a checkpoint in Hugging Face's layout, whichever backbone it is of.
 * @throws Error when there is no `config.json`, or it names no backbone that is known
 */
export async function loadModel(folder: string): Promise<UnifiedModel> {
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
  return load(folder);
}
