/** Gradient checkpointing (Chen et al. 2016): layers that are computed again for the gradient, which takes less memory. */
import { checkpointed, tf } from '../engine';
import { copyOf, mapTree, type Module } from './module';

type Forward = (this: Module, x: tf.Tensor, ...rest: unknown[]) => tf.Tensor;

/**
 * The same network whose layers of one class are computed again for the gradient: of each, only what comes in is kept,
 * for one forward pass more. It may be put around a network before or after it is given its numbers, below or above
 * adapters.
 *
 * The layers' `forward` must be deterministic. Its first argument and the weights get gradients; the other arguments get
 * none (masks, tables). A call with an argument that is neither a tensor, a plain object of tensors nor a primitive runs
 * as before: a key-value cache, for instance, cannot be given the same tokens twice.
 * @param kind e.g. `LlamaBlock`
 * @throws RangeError when the network has no such layer
 */
export function withCheckpointing<M extends Module>(net: M, kind: abstract new (...args: never[]) => Module): M {
  let found = 0;
  const changed = mapTree(net, (node) => {
    if (!(node instanceof kind)) return node;
    found++;
    const { forward: plain } = node as unknown as { forward: Forward };
    // `this`, not `node`: a copy with other numbers must compute with its own.
    function forward(this: Module, x: tf.Tensor, ...rest: unknown[]): tf.Tensor {
      const constants = tensorsIn(rest);
      if (!constants) return plain.call(this, x, ...rest);
      const inputs = { inputs: [x], constants, weights: weightsOf(this) };
      return checkpointed(inputs, (again, ...tensors) => plain.call(this, again, ...filled(rest, tensors)));
    }
    return Object.assign(copyOf(node), { forward });
  });
  if (found === 0) throw new RangeError(`checkpointing: the network has no ${kind.name}`);
  return changed;
}

const learned = new WeakMap<Module, readonly tf.Variable[]>();

/** What learns in a layer; looked up once a layer. */
function weightsOf(layer: Module): readonly tf.Variable[] {
  const weights = learned.get(layer) ?? Object.values(layer.variables());
  learned.set(layer, weights);
  return weights;
}

/** Tensors in arguments and in plain objects of tensors, in order; undefined when something else is among them. */
function tensorsIn(args: readonly unknown[]): tf.Tensor[] | undefined {
  const found: tf.Tensor[] = [];
  for (const arg of args) {
    if (typeof arg !== 'object' || arg === null) continue;
    if (arg instanceof tf.Tensor) found.push(arg as tf.Tensor);
    else {
      const inner = Object.getPrototypeOf(arg) === Object.prototype ? tensorsIn(Object.values(arg)) : undefined;
      if (!inner) return undefined;
      found.push(...inner);
    }
  }
  return found;
}

/** The arguments with other tensors in the places of theirs, in the order of {@link tensorsIn}. */
function filled(args: readonly unknown[], tensors: readonly tf.Tensor[]): unknown[] {
  const left = [...tensors];
  const fill = (arg: unknown): unknown => {
    if (typeof arg !== 'object' || arg === null) return arg;
    if (arg instanceof tf.Tensor) return left.shift();
    return Object.fromEntries(Object.entries(arg).map(([key, value]) => [key, fill(value)]));
  };
  return args.map(fill);
}
