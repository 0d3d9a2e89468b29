/** The Gaussian merge on checkpoint folders: one tensor of each in memory at a time. */
import { cp, readdir } from 'node:fs/promises';
import path from 'node:path';
import { openSafetensors, type SafetensorsReader, type WritableTensor, writeSafetensors } from '../io';
import { writeFileAtomic } from '../io/write-file';
import { mergeGaussian, type MergeOptions, type MergeStatistics } from './merge';

export interface MergeFoldersOptions extends MergeOptions {
  /** How the merged weights are stored. Default `F32`: what reinforcement changed is often less than bfloat16 can hold. */
  readonly dtype?: 'F32' | 'BF16';
  /** Above so many bytes the weights go into several files with an index. Default 5e9. */
  readonly shardBytes?: number;
  readonly onTensor?: (name: string, done: number, of: number) => void;
}

/** What the rule found, tensor by tensor; tensors that no model changed are left out. */
export type MergeReport = Readonly<Record<string, MergeStatistics & { readonly share: readonly number[] }>>;

/**
 * Merges fine-tuned checkpoints of one base onto it (CoRL, Sec. 3.2 and 4.2) and writes a whole checkpoint: the base's
 * files with the merged weights, and `merge.json` with the report.
 * @param models at least two folders
 * @returns statistics and, as `share`, each model's share of outliers, that is of what it learned and keeps whole
 * @throws RangeError naming every tensor that is missing somewhere or of another shape; SafetensorsError
 */
export async function mergeFolders(
  base: string,
  models: readonly string[],
  out: string,
  options: MergeFoldersOptions = {},
): Promise<MergeReport> {
  if (models.length < 2) throw new RangeError(`merging needs at least two models, got ${models.length}`);
  const readers: SafetensorsReader[] = [];
  try {
    for (const folder of [base, ...models]) readers.push(await openSafetensors(folder));
    checkAlike(readers, [base, ...models]);
    const report: Record<string, MergeReport[string]> = {};
    const tensors = mergedTensors(readers, options, report);
    await copyOthers(base, out);
    const { shardBytes = 5e9 } = options;
    const file = path.join(out, 'model.safetensors');
    await writeSafetensors(file, tensors, { metadata: { format: 'pt' }, shardBytes });
    await writeFileAtomic(path.join(out, 'merge.json'), `${JSON.stringify({ base, models, report }, null, 1)}\n`);
    return report;
  } finally {
    for (const reader of readers) await reader.close();
  }
}

function checkAlike([base, ...models]: readonly SafetensorsReader[], folders: readonly string[]): void {
  const faults: string[] = [];
  const names = new Set([base, ...models].flatMap((reader) => reader.names));
  for (const name of names)
    [base, ...models].forEach((reader, i) => {
      if (!reader.names.includes(name)) faults.push(`${folders[i]} has no ${name}`);
      else if (base.names.includes(name) && `${reader.info(name).shape}` !== `${base.info(name).shape}`)
        faults.push(`${folders[i]}: ${name} is [${reader.info(name).shape}], the base's [${base.info(name).shape}]`);
    });
  if (faults.length > 0) throw new RangeError(`the checkpoints do not fit together:\n  ${faults.join('\n  ')}`);
}

/** Computed when their turn to be written comes; the report fills meanwhile. */
function mergedTensors(
  [base, ...models]: readonly SafetensorsReader[],
  { dtype = 'F32', onTensor, ...options }: MergeFoldersOptions,
  report: Record<string, MergeReport[string]>,
): Record<string, WritableTensor> {
  let done = 0;
  const merged = async (name: string) => {
    const own = await base.readFloat32(name);
    const tuned: Float32Array[] = [];
    for (const model of models) tuned.push(await model.readFloat32(name));
    onTensor?.(name, ++done, base.names.length);
    if (tuned.every((one) => one.every((value, i) => value === own[i]))) return own;
    try {
      const { merged: values, statistics } = mergeGaussian(own, tuned, options);
      report[name] = { ...statistics, share: statistics.outliers.map((count) => count / own.length) };
      return values;
    } catch (error) {
      throw new RangeError(`tensor '${name}': ${(error as Error).message}`, { cause: error });
    }
  };
  return Object.fromEntries(
    base.names.map((name): [string, WritableTensor] => [
      name,
      { dtype, shape: base.info(name).shape, data: () => merged(name) },
    ]),
  );
}

/** Everything of a checkpoint but its weights. */
async function copyOthers(base: string, out: string): Promise<void> {
  const isWeights = (name: string) => /^model([.-].*)?\.safetensors(\.index\.json)?$/.test(name);
  for (const name of await readdir(base))
    if (!isWeights(name)) await cp(path.join(base, name), path.join(out, name), { recursive: true });
}
