/** Small checkpoints on the disk, as transformers lays them out. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type WritableTensor, writeSafetensors } from '../../../src/io';
import type { ParamStore } from '../../../src/nn/store';

/** Writes a folder with these files. @param rename names in the file */
export async function writeCheckpoint(
  parameters: ParamStore,
  config: object,
  rename: (name: string) => string = (name) => name,
): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'unilab-expert-'));
  await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
  const tensors = Object.entries(parameters.writable()).map(([name, tensor]): [string, WritableTensor] => [
    rename(name),
    tensor,
  ]);
  await writeSafetensors(path.join(folder, 'model.safetensors'), Object.fromEntries(tensors));
  return folder;
}
