/** Loading a frozen scorer's weights: tensor by tensor, what does not fit listed at once, nothing trainable. */
import { openSafetensors } from '../../../io';
import { type NameRules, Parameters, type ParameterSpecs } from '../../../nn/parameters';

/** A buffer that older transformers saved: 0, 1, 2, ... */
export function isPositionIds(name: string): boolean {
  return name.endsWith('position_ids');
}

/**
 * The weights of a folder: `model.safetensors`, or its shards and index. Gradients leave them alone.
 * @throws SafetensorsError for what cannot be read; CheckpointMismatchError listing all that does not fit
 */
export async function loadFrozen(
  folder: string,
  specs: ParameterSpecs,
  rules: (names: readonly string[]) => NameRules = () => ({ ignore: isPositionIds }),
): Promise<Parameters> {
  const reader = await openSafetensors(folder);
  try {
    return freeze(await Parameters.read(specs, reader, folder, rules(reader.names)));
  } finally {
    await reader.close();
  }
}

/** Takes the parameters out of every gradient: a judge does not learn. */
export function freeze(parameters: Parameters): Parameters {
  for (const variable of Object.values(parameters.variables)) variable.trainable = false;
  return parameters;
}
