/** Blocks of a model that are computed again for the gradient, where its parameters ask for it. */
import { checkpointed, tf } from '../engine';
import type { Parameters } from './parameters';

/**
 * Runs one block of a model. Where {@link Parameters.gradientCheckpointing} is on, only what comes in is kept for the
 * gradient, not what the block computes on its way (Chen et al. 2016).
 * @param prefix of the names of the block's parameters, without the dot; those of them that learn get their gradients
 * @param x what comes in
 * @param constants what has no gradient, e.g. masks; null for none of a kind
 * @param block a deterministic function of x, the constants and the parameters; must keep nothing
 */
export function checkpointedBlock<T extends tf.Tensor>(
  p: Parameters,
  prefix: string,
  x: T,
  constants: readonly (tf.Tensor | null)[],
  block: (x: T, ...constants: (tf.Tensor | null)[]) => T,
): T {
  if (!p.gradientCheckpointing) return tf.tidy(() => block(x, ...constants));
  const given = constants.filter((tensor) => tensor !== null);
  const weights = Object.keys(p.variables).flatMap((name) =>
    name.startsWith(`${prefix}.`) ? [p.variables[name]] : [],
  );
  return checkpointed({ inputs: [x], constants: given, weights }, (first, ...rest) => {
    const left = [...rest];
    return block(first as T, ...constants.map((tensor) => (tensor === null ? null : (left.shift() as tf.Tensor))));
  }) as T;
}
