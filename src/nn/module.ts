/**
 * Layers that are declared once. A layer is a class whose fields are its parameters and inner layers, and a parameter is
 * named after the way to it (`showo.model.layers.0.self_attn.q_proj.weight`), as in PyTorch, so names are upstream's
 * without a table of names. A new module has shapes and no numbers; `module.with(store)` is the same tree with a store's
 * numbers in it, and computes.
 *
 * ```ts
 * class Mlp extends Module<Config> {
 *   readonly fc1 = new Linear(this.config.width, 4 * this.config.width);
 *   readonly fc2 = new Linear(4 * this.config.width, this.config.width);
 *   forward(x: tf.Tensor3D): tf.Tensor3D { return this.fc2.forward(geluErf(this.fc1.forward(x)) as tf.Tensor3D); }
 * }
 * const net = new Mlp({ width: 8 });
 * const store = await ParamStore.read(net, reader, file);   // or .random(net, rng), .fromTensors(net, tensors, file)
 * const model = net.with(store);                            // model.forward(x)
 * const reference = net.with(store.clone('BF16'));          // the same layers, other numbers, frozen
 * ```
 *
 * Rules for writing one:
 * - A field that holds a layer or a parameter names it, private or not. Helpers that hold layers are computed in methods.
 * - Nested plain objects and arrays are steps on the way, too: `self_attn = { q_proj, k_proj }`, `layers = [..]`.
 * - No `#private` fields and no functions as fields: a copy with other numbers would share them with its original.
 * - What a field needs stands above it: fields are made in order. `config` is not searched for layers.
 */
import type { tf } from '../engine';

/** How a parameter begins: normal with this standard deviation, or a constant. */
export type Initial = { readonly normal: number } | { readonly constant: number };

/** Where a parameter's numbers are and how they enter a computation. A store has one for each of its parameters. */
export interface Weight<T extends tf.Tensor = tf.Tensor> {
  /** All of it. A weight that is stored in another form gives a new tensor, which goes with the caller's tidy. */
  value(): T;
  /** `x W^T + b` for a matrix `[out, in]`. @param x `[..., in]` @param bias `[out]`, or null for none */
  product(x: tf.Tensor, bias: tf.Tensor | null): tf.Tensor;
  /** Rows of a table `[rows, width]`. @param ids int32 `[...]` @returns `[..., width]` */
  rows(ids: tf.Tensor): tf.Tensor;
  /** What can learn, by what follows the parameter's name: `''` for the weight itself. Empty: it is frozen. */
  readonly variables: Readonly<Record<string, tf.Variable>>;
  /** Memory that it takes. */
  readonly bytes: number;
  dispose(): void;
}

/** One tensor of a layer: its shape and, in a module that was given a store, its numbers. */
export class Parameter<T extends tf.Tensor = tf.Tensor> {
  private weight?: Weight<T>;

  /**
   * @param shape upstream's (PyTorch's): `[out, in]` for linear layers, `[out, in, height, width]` for convolutions
   * @param layout `conv`: held as `[height, width, in, out]`, the layout that tf.js convolves with
   */
  constructor(
    readonly shape: Readonly<T['shape']>,
    readonly initial: Initial,
    readonly layout: 'plain' | 'conv' = 'plain',
  ) {}

  /** What the forward pass computes with. @throws Error for a module that was given no store */
  get value(): T {
    return this.numbers.value();
  }

  /** `x W^T + b`; see {@link Weight.product}. */
  product<X extends tf.Tensor>(x: X, bias: tf.Tensor | null = null): X {
    return this.numbers.product(x, bias) as X;
  }

  /** Rows of a table; see {@link Weight.rows}. */
  rows(ids: tf.Tensor): tf.Tensor {
    return this.numbers.rows(ids);
  }

  /** Whether its module was given a store. */
  get bound(): boolean {
    return this.weight !== undefined;
  }

  /** See {@link Weight.variables}; empty without a store. */
  get variables(): Readonly<Record<string, tf.Variable>> {
    return this.weight?.variables ?? {};
  }

  /** The same parameter with these numbers. */
  boundTo(weight: Weight): Parameter<T> {
    const copy = new Parameter<T>(this.shape, this.initial, this.layout);
    copy.weight = weight as Weight<T>;
    return copy;
  }

  /** The same parameter and numbers, which do not learn through it; one without numbers stays as it is. */
  frozen(): Parameter<T> {
    const numbers = this.weight;
    if (!numbers) return this;
    return this.boundTo({
      value: () => numbers.value(),
      product: (x, bias) => numbers.product(x, bias),
      rows: (ids) => numbers.rows(ids),
      variables: {},
      bytes: numbers.bytes,
      dispose: () => numbers.dispose(),
    });
  }

  private get numbers(): Weight<T> {
    if (!this.weight)
      throw new Error(`a parameter [${this.shape.join(', ')}] has no numbers yet: module.with(store) gives it some`);
    return this.weight;
  }
}

function isParameter(node: object): node is Parameter {
  return node instanceof Parameter;
}

/** What gives parameters their numbers: a `ParamStore`. */
export interface WeightSource {
  weight(name: string): Weight | undefined;
}

/**
 * What all layers are. The base class holds the configuration, and is built before the fields of its subclasses, so a
 * field can say its size where it is declared: `readonly fc1 = new Linear(this.config.hidden_size, 8)`.
 */
export abstract class Module<Config = unknown> {
  constructor(readonly config: Config) {}

  /**
   * The same layers with numbers: each parameter's from the first of the stores that has one of its name; one that no
   * store has keeps the numbers that it has. Stores stay the caller's to dispose.
   * @throws Error naming the parameters that have no numbers
   */
  with(...stores: readonly WeightSource[]): this {
    const done = new Map<Parameter, Parameter>();
    const missing: string[] = [];
    const copy = mapTree(this, (node, name) => {
      if (!isParameter(node)) return node;
      const before = done.get(node); // tied: one parameter in two places
      if (before) return before;
      const weight = stores.map((store) => store.weight(name)).find((found) => found !== undefined);
      const bound = weight ? node.boundTo(weight) : node;
      if (!bound.bound) missing.push(name);
      done.set(node, bound);
      return bound;
    });
    if (missing.length > 0) throw new Error(`no store has ${missing.join(', ')}`);
    return copy;
  }

  /** The same layers and numbers, which do not learn through it. */
  frozen(): this {
    const done = new Map<object, Parameter>();
    return mapTree(this, (node) => {
      if (!isParameter(node)) return node;
      const still = done.get(node) ?? node.frozen();
      done.set(node, still);
      return still;
    });
  }

  /** What can learn, by upstream name. */
  variables(): Record<string, tf.Variable> {
    const named = [...namedParameters(this).own].flatMap(([name, { variables }]) =>
      Object.entries(variables).map(([suffix, variable]) => [name + suffix, variable] as const),
    );
    return Object.fromEntries(named);
  }
}

/** Parameters of a tree by name. */
export interface NamedParameters {
  /** Each parameter under the name of its first place, in the order of the fields. */
  readonly own: ReadonlyMap<string, Parameter>;
  /** Further places of one parameter (tied weights): the place's name, and the name that holds the numbers. */
  readonly aliases: ReadonlyMap<string, string>;
}

export function namedParameters(root: object): NamedParameters {
  const names = new Map<Parameter, string>();
  const aliases = new Map<string, string>();
  mapTree(root, (node, name) => {
    if (!isParameter(node)) return node;
    const first = names.get(node);
    if (first === undefined) names.set(node, name);
    else aliases.set(name, first);
    return node;
  });
  return { own: new Map([...names].map(([parameter, name]) => [name, parameter])), aliases };
}

/** Copies an object with its class, without running a constructor. */
export function copyOf<T extends object>(node: T): T {
  return Object.assign(Object.create(Object.getPrototypeOf(node) as object) as T, node);
}

/**
 * A copy of a tree in which `change` has replaced parameters and modules, innermost first; what nothing changed in is
 * not copied. Binding, adapters, checkpointing and learned tokens are made of it.
 * @param change gives what stands there instead; the same node changes nothing
 */
export function mapTree<T extends object>(root: T, change: (node: object, name: string) => object): T {
  const visit = (node: unknown, name: string): unknown => {
    if (typeof node !== 'object' || node === null) return node;
    if (isParameter(node)) return change(node, name);
    const isPlain = Array.isArray(node) || Object.getPrototypeOf(node) === Object.prototype;
    if (!isPlain && !(node instanceof Module)) return node;
    let copy: object = node;
    for (const [key, value] of Object.entries(node)) {
      if (key === 'config' && node instanceof Module) continue;
      const next = visit(value, name ? `${name}.${key}` : key);
      if (next === value) continue;
      if (copy === node) copy = Array.isArray(node) ? [...(node as unknown[])] : copyOf(node);
      (copy as Record<string, unknown>)[key] = next;
    }
    return node instanceof Module ? change(copy, name) : copy;
  };
  return visit(root, '') as T;
}
