/** A frozen scorer's weights: read tensor by tensor, what does not fit listed at once, nothing trainable. */
import type { Rng } from '../../../engine';
import { openSafetensors, type RawTensor } from '../../../io';
import type { NameRules } from '../../../nn/checkpoint-fit';
import type { Module } from '../../../nn/module';
import { ParamStore } from '../../../nn/store';

/** A network that computes, and its numbers. */
export interface FrozenNetwork<M extends Module> {
  readonly net: M;
  /** Disposed by whoever holds the network. */
  readonly parameters: ParamStore;
}

/** A buffer that older transformers saved: 0, 1, 2, ... */
export function isPositionIds(name: string): boolean {
  return name.endsWith('position_ids');
}

/**
 * A network with the weights of a folder: `model.safetensors`, or its shards and index. Gradients leave them alone.
 * @throws SafetensorsError for what cannot be read; CheckpointMismatchError listing all that does not fit
 */
export async function loadFrozen<M extends Module>(
  folder: string,
  net: M,
  rules: (names: readonly string[]) => NameRules = () => ({ ignore: isPositionIds }),
): Promise<FrozenNetwork<M>> {
  const reader = await openSafetensors(folder);
  try {
    return frozen(net, await ParamStore.read(net, reader, folder, rules(reader.names)));
  } finally {
    await reader.close();
  }
}

/** One with random weights. */
export function randomFrozen<M extends Module>(net: M, rng: Rng): FrozenNetwork<M> {
  return frozen(net, ParamStore.random(net, rng));
}

/** One with weights in memory. @throws CheckpointMismatchError listing all that does not fit */
export function frozenFromTensors<M extends Module>(
  net: M,
  tensors: Readonly<Record<string, RawTensor>>,
  where: string,
): FrozenNetwork<M> {
  return frozen(net, ParamStore.fromTensors(net, tensors, where));
}

/** Binds a store that no gradient reaches: a scorer does not learn. */
export function frozen<M extends Module>(net: M, parameters: ParamStore): FrozenNetwork<M> {
  for (const variable of Object.values(parameters.variables)) variable.trainable = false;
  return { net: net.with(parameters), parameters };
}
