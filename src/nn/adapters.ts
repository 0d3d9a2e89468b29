/**
 * LoRA (Hu et al. 2021): a linear layer's weight W stays frozen, and W + (alpha / rank) B A is what computes, with A
 * `[rank, in]` and B `[out, rank]` learned. B begins at 0, so a fresh adapter changes nothing. Names, first values and
 * scaling are PEFT's.
 */
import { type Rng, tf } from '../engine';
import { someOf } from './freeze';
import { Embedding, Linear } from './layers';
import { mapTree, type Module, namedParameters, type Parameter, type Weight } from './module';
import { ParamStore } from './store';
import { SumWeight } from './weights';

export interface LoraOptions {
  /** Rank of the change. PEFT's default is 8. */
  readonly rank: number;
  /** The change is scaled by alpha / rank. Default: the rank, so by 1. PEFT's default is 8. */
  readonly alpha?: number;
  /**
   * Linear layers that get an adapter: names of layers or their last parts (`q_proj`, `mlp.fc1`), or a regular
   * expression that a layer's whole name must match; as PEFT's `target_modules`.
   */
  readonly targets: readonly string[] | RegExp;
  /** Scale by alpha / sqrt(rank) (rsLoRA, Kalajdzievski 2023). Default false. */
  readonly rankStabilized?: boolean;
}

/** What all adapters of one network share. */
interface LoraState {
  /** The adapters are in the base's weights, and the layers compute with those alone. */
  merged: boolean;
}

/** A frozen linear layer and a thin one beside it. */
export class LoraLinear extends Linear {
  readonly lora_A: Linear;
  readonly lora_B: Linear;

  constructor(
    base: Linear,
    rank: number,
    readonly scaling: number,
    private readonly state: LoraState,
  ) {
    const [outputs, inputs] = base.weight.shape;
    super(inputs, outputs, base.config);
    Object.assign(this, { weight: base.weight, bias: base.bias }); // the base's own, with their numbers
    this.lora_A = new Linear(inputs, rank, { bias: false });
    this.lora_B = new Linear(rank, outputs, { bias: false });
  }

  override forward<X extends tf.Tensor>(x: X): X {
    if (this.state.merged) return super.forward(x);
    // Two thin products in place of one more matrix of the weight's size.
    return tf.tidy(() => {
      const change = this.lora_B.forward(this.lora_A.forward(x));
      return tf.add<X>(super.forward(x), tf.mul(change, this.scaling));
    });
  }

  override outputs<X extends tf.Tensor>(x: X, from: number, count: number): X {
    if (this.state.merged) return super.outputs(x, from, count);
    return tf.tidy(() => {
      const change = this.lora_B.outputs(this.lora_A.forward(x), from, count);
      return tf.add<X>(super.outputs(x, from, count), tf.mul(change, this.scaling));
    });
  }
}

/**
 * A network with adapters. What learns (`net.variables()`, `store.variables`) are the adapters alone; the base stays as
 * it is, and serves as the frozen reference of a policy.
 */
export class Lora<M extends Module> {
  private readonly state: LoraState;

  private constructor(
    /** The network without adapters. */
    readonly base: M,
    /** The network with adapters; computes. */
    readonly net: M,
    /** The adapters' numbers, under PEFT's names: `q_proj.lora_A.weight`. */
    readonly store: ParamStore,
    readonly options: LoraOptions,
    state: LoraState,
  ) {
    this.state = state;
  }

  /**
   * Fresh adapters: A is Kaiming-uniform with a = sqrt(5), B is 0.
   * @param base a network with its numbers, float32 or bfloat16
   * @throws RangeError for a rank or alpha that is no positive number, targets that fit no layer, and layers that cannot
   *   have one (no linear layer, a weight that another layer shares)
   */
  static create<M extends Module>(base: M, options: LoraOptions, rng: Rng): Lora<M> {
    const { rank, targets } = options;
    if (!Number.isInteger(rank) || rank < 1)
      throw new RangeError(`LoRA's rank must be a positive integer, got ${rank}`);
    if (targets instanceof RegExp && /[^u]/.test(targets.flags))
      throw new RangeError(`LoRA: ${String(targets)}: a pattern's flags cannot be saved with the adapters`);
    loraScaling(options, rank);
    const ranks = new Map(targetLayers(base, targets).map((layer) => [layer, rank]));
    return Lora.fill(base, options, ranks, (name, { shape }) => {
      const [outputs, inputs] = shape;
      const layer = name.replace(/\.lora_[AB]\.weight$/, '');
      if (name.endsWith('.lora_B.weight')) return new Float32Array(outputs * inputs);
      const bound = inputs ** -0.5;
      return rng
        .split(layer)
        .uniform(outputs * inputs)
        .map((u) => (2 * u - 1) * bound);
    });
  }

  /**
   * Adapters with numbers of the caller's.
   * @param ranks by the layers' names
   * @param values by the adapters' names, `q_proj.lora_A.weight`
   */
  static fill<M extends Module>(
    base: M,
    options: LoraOptions,
    ranks: ReadonlyMap<string, number>,
    values: (name: string, parameter: Parameter) => Float32Array,
  ): Lora<M> {
    const state = { merged: false };
    const adapted = mapTree(base, (node, name) => {
      const rank = node instanceof Linear ? ranks.get(name) : undefined;
      return rank === undefined ? node : new LoraLinear(node as Linear, rank, loraScaling(options, rank), state);
    });
    const store = ParamStore.added(adapted, values);
    return new Lora(base, adapted.frozen().with(store), store, options, state);
  }

  /** Whether the adapters are added into the base's own weights at the moment. */
  get merged(): boolean {
    return this.state.merged;
  }

  /** Names of the layers that have an adapter. */
  get layers(): string[] {
    return this.store.names.flatMap((name) => (name.endsWith('.lora_A.weight') ? [name.slice(0, -14)] : []));
  }

  /**
   * Adds the adapters into the base's weights: computes as fast as without adapters. They do not learn until
   * {@link unmerge}. Calling it twice does nothing.
   * @throws Error when the base is stored in bfloat16, whose rounding could not be taken back
   */
  merge(): void {
    if (this.state.merged) return;
    this.addToBase(1);
    this.state.merged = true;
  }

  /** Takes the adapters out of the base's weights again, exact to float32's rounding. */
  unmerge(): void {
    if (!this.state.merged) return;
    this.addToBase(-1);
    this.state.merged = false;
  }

  /**
   * The base's numbers with the adapters in them, under the model's own names: for saving the model as one, or for a
   * copy of it.
   * @param store the base's numbers, shared and not copied; it stays the one to be disposed
   */
  sum(store: ParamStore): ParamStore {
    if (this.state.merged) return store;
    const names = this.layers.map((layer) => `${layer}.weight`);
    return store.wrapping(names, (weight, name) => this.adapted(weight, name.slice(0, -'.weight'.length)));
  }

  /** The same adapters with numbers of their own, around the same base: what they are now, kept while these learn on. */
  clone(): Lora<M> {
    const store = this.store.clone();
    return new Lora(this.base, this.net.with(store), store, this.options, this.state);
  }

  /** Disposes the adapters, and gives the base back as it now is: with them if merged, without them if not. */
  unload(): M {
    this.store.dispose();
    return this.base;
  }

  private adapted(weight: Weight, layer: string): SumWeight {
    const { a, b, scaling } = this.adapter(layer);
    return new SumWeight(weight, b, a, scaling);
  }

  private adapter(layer: string): { a: tf.Tensor2D; b: tf.Tensor2D; scaling: number } {
    const a = this.store.get(`${layer}.lora_A.weight`) as tf.Tensor2D;
    const b = this.store.get(`${layer}.lora_B.weight`) as tf.Tensor2D;
    return { a, b, scaling: loraScaling(this.options, a.shape[0]) };
  }

  private addToBase(sign: 1 | -1): void {
    const { own } = namedParameters(this.base);
    const weights = this.layers.map((layer) => {
      const variable = own.get(`${layer}.weight`)?.variables[''];
      if (!variable) throw new Error(`adapters cannot be merged into '${layer}': its weights are stored in bfloat16`);
      return { layer, variable };
    });
    for (const { layer, variable } of weights) {
      const { a, b, scaling } = this.adapter(layer);
      const sum = tf.tidy(() => tf.add(variable, tf.mul(tf.matMul(b, a), sign * scaling)));
      variable.assign(sum);
      sum.dispose();
    }
  }
}

/** What B A is multiplied with. @throws RangeError when alpha is no positive number */
export function loraScaling({ alpha, rank, rankStabilized = false }: LoraOptions, own: number): number {
  const value = alpha ?? rank;
  if (!(value > 0 && Number.isFinite(value)))
    throw new RangeError(`LoRA's alpha must be a positive number, got ${value}`);
  return value / (rankStabilized ? Math.sqrt(own) : own);
}

/** The layers that the targets name. @throws RangeError see {@link Lora.create} */
function targetLayers(base: Module, targets: LoraOptions['targets']): string[] {
  const { own, aliases } = namedParameters(base);
  const layers = [...own.keys(), ...aliases.keys()].flatMap((name) =>
    name.endsWith('.weight') ? [name.slice(0, -'.weight'.length)] : [],
  );
  const whole = targets instanceof RegExp ? new RegExp(`^(?:${targets.source})$`, targets.flags) : undefined;
  const list = targets instanceof RegExp ? [] : targets;
  const ends = (layer: string, target: string) => layer === target || layer.endsWith(`.${target}`);
  for (const target of list) {
    if (!layers.some((layer) => ends(layer, target)))
      throw new RangeError(`LoRA: no layer is, or ends in, '${target}'; there are ${someOf(layers)}`);
  }
  const found = layers.filter((layer) => (whole ? whole.test(layer) : list.some((target) => ends(layer, target))));
  if (found.length === 0)
    throw new RangeError(`LoRA: no layer matches ${String(targets)}; there are ${someOf(layers)}`);
  const kinds = modulesByName(base);
  const unfit = found.flatMap((layer) => {
    const name = `${layer}.weight`;
    const tiedTo = aliases.get(name);
    const sharers = [...aliases].flatMap(([alias, first]) => (first === name ? [alias] : []));
    const shape = own.get(tiedTo ?? name)?.shape ?? [];
    const kind = kinds.get(layer);
    if (shape.length !== 2) return [`${layer} has a weight [${shape}], no matrix`];
    if (kind instanceof Embedding) return [`${layer} is a table of embeddings`];
    if (!(kind instanceof Linear)) return [`${layer} is no linear layer`];
    if (tiedTo !== undefined) return [`${layer} shares its weight with ${tiedTo}`];
    return sharers.length > 0 ? [`${layer} shares its weight with ${sharers.join(', ')}`] : [];
  });
  if (unfit.length > 0)
    throw new RangeError(`LoRA is for linear layers of their own; narrow the targets: ${unfit.join('; ')}`);
  return found;
}

function modulesByName(net: Module): Map<string, object> {
  const found = new Map<string, object>();
  mapTree(net, (node, name) => {
    found.set(name, node);
    return node;
  });
  return found;
}
