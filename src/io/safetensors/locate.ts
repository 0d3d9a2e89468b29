/** From a path to the files behind it: one file, a folder, or the index of a sharded checkpoint. */
import { readFile, readdir, stat } from 'node:fs/promises';
import * as path from 'node:path';
import { SafetensorsError } from './errors';
import { findDuplicateKey } from './json-keys';

export interface Location {
  /** All files, in a fixed order. */
  readonly files: readonly string[];
  /** For a sharded checkpoint: the index and the file that it names for each tensor. */
  readonly index?: { readonly file: string; readonly weightMap: ReadonlyMap<string, string> };
}

/**
 * @param where a `.safetensors` file, a `.safetensors.index.json`, or a folder that holds `model.safetensors`,
 *   `model.safetensors.index.json`, or exactly one other file of either kind
 * @throws SafetensorsError `file_not_found`, `no_weights`, and those of a broken index
 */
export async function locate(where: string): Promise<Location> {
  const info = await stat(where).catch(() => undefined);
  if (!info) throw new SafetensorsError('file_not_found', where, undefined, 'there is no such file or folder');
  if (!info.isDirectory()) return where.endsWith('.json') ? readIndex(where) : { files: [where] };
  const names = (await readdir(where)).filter((name) => !name.startsWith('.'));
  for (const suffix of ['.safetensors', '.safetensors.index.json']) {
    if (names.includes(`model${suffix}`)) return locate(path.join(where, `model${suffix}`));
  }
  for (const suffix of ['.safetensors.index.json', '.safetensors']) {
    const found = names.filter((name) => name.endsWith(suffix));
    if (found.length === 1) return locate(path.join(where, found[0]));
  }
  const what = 'the folder holds neither model.safetensors nor model.safetensors.index.json';
  throw new SafetensorsError('no_weights', where, undefined, what);
}

async function readIndex(file: string): Promise<Location> {
  const bad = (what: string): SafetensorsError => new SafetensorsError('invalid_index', file, undefined, what);
  let parsed: unknown;
  let text = '';
  try {
    text = await readFile(file, 'utf8');
    parsed = JSON.parse(text);
  } catch (error) {
    throw bad(`it is not JSON (${(error as Error).message})`);
  }
  const twice = findDuplicateKey(text);
  if (twice) {
    const what = `the index has the key '${twice.key}' twice, and it is not clear which one is meant`;
    throw new SafetensorsError('duplicate_key', file, twice.within === 'weight_map' ? twice.key : undefined, what);
  }
  const map = (parsed as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) throw bad("it has no object 'weight_map'");
  const folder = path.resolve(path.dirname(file));
  const weightMap = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== 'string') throw bad(`weight_map['${tensor}'] is not a file name`);
    weightMap.set(tensor, shardFile(file, folder, tensor, shard));
  }
  await checkShards(file, weightMap);
  return { files: [...new Set(weightMap.values())].sort(), index: { file, weightMap } };
}

function shardFile(index: string, folder: string, tensor: string, shard: string): string {
  const full = path.resolve(folder, shard);
  // An index comes with a download: it must not make us read elsewhere on the disk.
  const outside = path.isAbsolute(shard) || shard.includes('\\') || !full.startsWith(folder + path.sep);
  if (outside || !shard.endsWith('.safetensors')) {
    const what = `the index names '${shard}', which is not a .safetensors file inside the index's own folder`;
    throw new SafetensorsError('invalid_shard_name', index, tensor, what);
  }
  return full;
}

/** @throws SafetensorsError `missing_shard` naming every file that is not there */
async function checkShards(index: string, weightMap: ReadonlyMap<string, string>): Promise<void> {
  const missing: string[] = [];
  let first: string | undefined;
  for (const file of new Set(weightMap.values())) {
    if ((await stat(file).catch(() => undefined))?.isFile()) continue;
    const tensors = [...weightMap].filter(([, shard]) => shard === file).map(([tensor]) => tensor);
    first ??= tensors[0];
    missing.push(`'${path.basename(file)}' (${tensors.length} tensors)`);
  }
  if (missing.length === 0) return;
  const what = `the index names ${missing.join(', ')}, which ${missing.length > 1 ? 'are' : 'is'} not there`;
  throw new SafetensorsError('missing_shard', index, first, what);
}
