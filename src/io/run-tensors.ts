/** What a run's checkpoint holds: weights, optimizer, and a reference that follows. */
import type * as tf from '@tensorflow/tfjs';
import { RunError } from './run-identity';
import { fromTensor, toTensor } from './tensors';
import type { RawTensor, WritableTensor } from './safetensors';

interface Variables {
  variables(): Readonly<Record<string, tf.Variable>>;
}

/** What a checkpoint holds beside the recipe's state. */
export interface RunParts {
  readonly model: Variables;
  /** An `AdamW`. */
  readonly optimizer: {
    state(): Record<string, tf.Tensor>;
    load(state: Record<string, tf.Tensor>): void;
  };
  /** Only a reference that follows the policy: another one is made of the weights that a run starts from. */
  readonly reference?: Variables;
  /** A `PendingGradients` that is kept between steps. It is no part of a checkpoint, which waits until it is empty. */
  readonly pending?: { readonly steps: number };
}

function prefixed(prefix: string, tensors: Readonly<Record<string, tf.Tensor>>): Record<string, tf.Tensor> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`${prefix}.${name}`, tensor]));
}

/** Names of tensors with a NaN or an infinity. */
async function notFinite(tensors: Readonly<Record<string, tf.Tensor>>): Promise<string[]> {
  const bad: string[] = [];
  for (const [name, tensor] of Object.entries(tensors)) {
    if (tensor.dtype === 'float32' && !(await tensor.data<'float32'>()).every(Number.isFinite)) bad.push(name);
  }
  return bad;
}

/**
 * Does something with the numbers of all parts, which are there only as long as it takes.
 * @throws RunError when a weight or the optimizer is not finite
 */
export async function withTensors(
  step: number,
  parts: RunParts,
  work: (tensors: Record<string, WritableTensor>) => Promise<void>,
): Promise<void> {
  const optimizer = parts.optimizer.state();
  try {
    const named = {
      ...prefixed('model', parts.model.variables()),
      ...prefixed('optimizer', optimizer),
      ...prefixed('reference', parts.reference?.variables() ?? {}),
    };
    const bad = await notFinite(named);
    if (bad.length > 0) throw new RunError(`step ${step} was not saved: not finite are ${bad.slice(0, 5).join(', ')}`);
    const tensors = Object.entries(named).map(([name, tensor]) => [name, fromTensor(tensor)] as const);
    await work(Object.fromEntries(tensors));
  } finally {
    for (const tensor of Object.values(optimizer)) tensor.dispose();
  }
}

/** @throws RunError when the checkpoint and the model differ in names or shapes; then nothing was changed */
export function restoreTensors(folder: string, tensors: Readonly<Record<string, RawTensor>>, parts: RunParts): void {
  const targets = {
    ...prefixed('model', parts.model.variables()),
    ...prefixed('reference', parts.reference?.variables() ?? {}),
  };
  for (const [name, variable] of Object.entries(targets)) {
    const shape = tensors[name]?.shape as readonly number[] | undefined;
    if (shape?.join() !== variable.shape.join())
      throw new RunError(
        `${folder} does not fit: it has ${name} ${shape ? `[${shape.join(', ')}]` : 'not at all'}, the model [${variable.shape.join(', ')}]`,
      );
  }
  const optimizer: Record<string, tf.Tensor> = {};
  for (const [name, raw] of Object.entries(tensors)) {
    const tensor = toTensor(raw);
    if (name.startsWith('optimizer.')) optimizer[name.slice('optimizer.'.length)] = tensor;
    else {
      (targets[name] as tf.Variable | undefined)?.assign(tensor);
      tensor.dispose();
    }
  }
  parts.optimizer.load(optimizer);
  for (const tensor of Object.values(optimizer)) tensor.dispose();
}
