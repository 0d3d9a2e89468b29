/** Adapters alone, in PEFT's files: `adapter_config.json` and `adapter_model.safetensors`. */
import { mkdir, readFile } from 'node:fs/promises';
import * as path from 'node:path';
import { writeFileAtomic } from '../io/write-file';
import { fromTensor, openSafetensors, writeSafetensors } from '../io';
import { Lora, loraScaling, type LoraOptions } from './adapters';
import { CheckpointMismatchError } from './checkpoint-fit';
import { type Module, namedParameters } from './module';

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';
/** PEFT's names begin with its own wrappers around the model. */
const PREFIX = 'base_model.model.';

/**
 * Saves the adapters, whether merged or not; the base is not saved. Rank and alpha stand with the weights, too: should
 * a save be stopped between the two files, loading tells.
 * @param baseName what the adapters belong to (`base_model_name_or_path`), for the reader's information
 * @returns the files written
 */
export async function saveAdapters(lora: Lora<Module>, folder: string, baseName?: string): Promise<string[]> {
  const { rank, alpha = rank, targets, rankStabilized = false } = lora.options;
  const config = {
    peft_type: 'LORA',
    task_type: null,
    base_model_name_or_path: baseName ?? null,
    inference_mode: true,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    target_modules: targets instanceof RegExp ? targets.source : [...targets],
    bias: 'none',
    fan_in_fan_out: false,
    use_rslora: rankStabilized,
    modules_to_save: null,
  };
  await mkdir(folder, { recursive: true });
  const entries = Object.entries(lora.store.variables);
  const named = entries.map(([name, variable]) => [`${PREFIX}${name}`, fromTensor(variable)] as const);
  await writeFileAtomic(path.join(folder, CONFIG), `${JSON.stringify(config, null, 2)}\n`);
  await writeSafetensors(path.join(folder, WEIGHTS), Object.fromEntries(named), {
    metadata: { format: 'pt', r: `${rank}`, lora_alpha: `${alpha}` },
  });
  return [path.join(folder, CONFIG), path.join(folder, WEIGHTS)];
}

/**
 * Puts saved adapters on a network; UniLab's or PEFT's own.
 * @param base a network with its numbers
 * @throws Error naming what of the configuration is not supported; CheckpointMismatchError listing every tensor that
 *   does not fit the model
 */
export async function loadAdapters<M extends Module>(base: M, folder: string): Promise<Lora<M>> {
  const options = await readConfig(path.join(folder, CONFIG));
  const file = path.join(folder, WEIGHTS);
  const reader = await openSafetensors(file);
  try {
    const { r = `${options.rank}`, lora_alpha: alpha = `${options.alpha}` } = reader.metadata;
    if (r !== `${options.rank}` || alpha !== `${options.alpha}`) {
      throw new Error(
        `${folder}: ${CONFIG} says r ${options.rank} and lora_alpha ${options.alpha}, ${WEIGHTS} r ${r} and lora_alpha ${alpha}: they are of two saves`,
      );
    }
    const ranks = checkNames(base, [...reader.tensors.values()], file);
    for (const rank of ranks.values()) loraScaling(options, rank);
    const values = new Map<string, Float32Array>();
    for (const { name } of reader.tensors.values())
      values.set(name.slice(PREFIX.length), await reader.readFloat32(name));
    return Lora.fill(base, options, ranks, (name) => values.get(name) as Float32Array);
  } finally {
    await reader.close();
  }
}

async function readConfig(file: string): Promise<LoraOptions> {
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`${file} cannot be read as an adapter's configuration: ${message}`, { cause: error });
  }
  const { r, lora_alpha: alpha, target_modules: targets } = config;
  const faults: string[] = [];
  if (config.peft_type !== 'LORA') faults.push(`peft_type is ${JSON.stringify(config.peft_type)}, expected "LORA"`);
  if (!Number.isInteger(r) || (r as number) < 1) faults.push(`r is ${JSON.stringify(r)}, expected a positive integer`);
  if (typeof alpha !== 'number') faults.push(`lora_alpha is ${JSON.stringify(alpha)}, expected a number`);
  const listed = Array.isArray(targets) && targets.every((target) => typeof target === 'string');
  if (!listed && typeof targets !== 'string') faults.push('target_modules is neither a list of names nor a pattern');
  // Each of these changes what the layers compute.
  const { bias = 'none' } = config;
  if (bias !== 'none') faults.push(`bias ${JSON.stringify(bias)} is not supported, only "none"`);
  for (const field of ['use_dora', 'fan_in_fan_out', 'alpha_pattern', 'modules_to_save', 'layer_replication']) {
    const value = config[field];
    const empty = !value || (typeof value === 'object' && Object.keys(value).length === 0);
    if (!empty) faults.push(`${field} ${JSON.stringify(value)} is not supported`);
  }
  if (faults.length > 0) throw new Error(`${file}: ${faults.join('; ')}`);
  return {
    rank: r as number,
    alpha: alpha as number,
    targets: typeof targets === 'string' ? new RegExp(targets) : (targets as string[]),
    rankStabilized: config.use_rslora === true,
  };
}

/** The ranks of the layers that have adapters. @throws CheckpointMismatchError listing all that does not fit */
function checkNames(
  base: Module,
  tensors: readonly { readonly name: string; readonly shape: readonly number[] }[],
  file: string,
): Map<string, number> {
  const { own } = namedParameters(base);
  const faults: string[] = [];
  const shapes = new Map<string, Partial<Record<'A' | 'B', readonly number[]>>>();
  for (const { name, shape } of tensors) {
    const [, layer, part] = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/.exec(name) ?? [];
    if (layer === undefined || own.get(`${layer}.weight`)?.shape.length !== 2)
      faults.push(`unknown: ${name} [${shape}]`);
    else shapes.set(layer, { ...shapes.get(layer), [part]: shape });
  }
  const ranks = new Map<string, number>();
  for (const [layer, { A, B }] of shapes) {
    const [outputs, inputs] = own.get(`${layer}.weight`)?.shape ?? [];
    if (!A || !B) faults.push(`missing: ${PREFIX}${layer}.lora_${A ? 'B' : 'A'}.weight`);
    else if (A.length !== 2 || B.length !== 2 || A[1] !== inputs || B[0] !== outputs || A[0] !== B[1])
      faults.push(`${layer}: expected A [rank,${inputs}] and B [${outputs},rank], found [${A}] and [${B}]`);
    else ranks.set(layer, A[0]);
  }
  if (tensors.length === 0) faults.push('it holds no adapters');
  if (faults.length > 0)
    throw new CheckpointMismatchError(`${file} does not fit this model:\n  ${faults.join('\n  ')}`);
  return ranks;
}
