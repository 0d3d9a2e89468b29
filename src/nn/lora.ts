/**
 * LoRA (Hu et al. 2021): a linear layer's weight W stays frozen, and W + (alpha / rank) B A is what computes, with A
 * `[rank, in]` and B `[out, rank]` learned. B begins at 0, so a fresh adapter changes nothing. Names, initial values
 * and scaling are PEFT's.
 */
import { linear, type Rng, tf } from '../engine';
import { someOf } from './freeze';
import { Parameters, type ParameterValues } from './parameters';

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

/** One layer's adapter. */
export interface Adapter {
  /** `[rank, in]` */
  readonly a: tf.Variable;
  /** `[out, rank]` */
  readonly b: tf.Variable;
  readonly scaling: number;
}

/**
 * A model's parameters with adapters: stands where the model's own parameters stood. What learns (`variables`) are the
 * adapters alone; the base underneath is untouched, and serves as the frozen reference of a policy as it is. Saving the
 * model saves the sum under the model's own names; `saveAdapters` saves the adapters alone.
 */
export class LoraParameters extends Parameters {
  private isMerged = false;

  /** Made by {@link LoraParameters.create} and `loadAdapters`. */
  constructor(
    /** The frozen weights: float32 parameters, or bfloat16 ones, which cannot be merged into. */
    readonly base: Parameters,
    /** By the layer's name. */
    readonly adapters: ReadonlyMap<string, Adapter>,
    readonly options: LoraOptions,
  ) {
    const variables = [...adapters].flatMap(([layer, { a, b }]) => [
      [`${layer}.lora_A.weight`, a] as const,
      [`${layer}.lora_B.weight`, b] as const,
    ]);
    super(base.specs, Object.fromEntries(variables));
  }

  /**
   * Fresh adapters on a model's layers.
   * @throws RangeError for a rank or alpha that is no positive number, targets that fit no layer, and layers that cannot
   *   have one (no matrix, an embedding table, a weight tied to another)
   */
  static create(base: Parameters, options: LoraOptions, rng: Rng): LoraParameters {
    const { rank, targets } = options;
    if (!Number.isInteger(rank) || rank < 1)
      throw new RangeError(`LoRA's rank must be a positive integer, got ${rank}`);
    if (targets instanceof RegExp && /[^u]/.test(targets.flags))
      throw new RangeError(`LoRA: ${String(targets)}: a pattern's flags cannot be saved with the adapters`);
    const scaling = loraScaling(options, rank);
    const adapters = new Map<string, Adapter>();
    for (const layer of targetLayers(base, targets)) {
      const [outputs, inputs] = base.specs[`${layer}.weight`].shape;
      const own = rng.split(layer).uniform(rank * inputs);
      const bound = inputs ** -0.5; // Kaiming-uniform with a = sqrt(5)
      const values = own.map((u) => (2 * u - 1) * bound);
      const [a, b] = tf.tidy(() => [tf.variable(tf.tensor2d(values, [rank, inputs])), tf.variable(tf.zeros([outputs, rank]))]); // prettier-ignore
      adapters.set(layer, { a, b, scaling });
    }
    return new LoraParameters(base, adapters, options);
  }

  /** Whether the adapters are added into the base's own weights at the moment. */
  get merged(): boolean {
    return this.isMerged;
  }

  override get(name: string): tf.Tensor {
    const adapter = this.adapterOf(name);
    return adapter ? tf.tidy(() => tf.add(this.base.get(name), change(adapter))) : this.base.get(name);
  }

  override linear(name: string, x: tf.Tensor): tf.Tensor {
    const adapter = this.adapterOf(`${name}.weight`);
    if (!adapter) return this.base.linear(name, x);
    // Two thin products in place of one more matrix of the weight's size.
    return tf.tidy(() => {
      const through = linear(linear(x, adapter.a), adapter.b);
      return tf.add(this.base.linear(name, x), tf.mul(through, adapter.scaling));
    });
  }

  override embedding(name: string, ids: tf.Tensor): tf.Tensor {
    return this.base.embedding(name, ids);
  }

  /**
   * Adds the adapters into the base's weights: computes as fast as without adapters. They do not learn until
   * {@link unmerge}. Calling it twice does nothing.
   * @throws Error when the base is stored in bfloat16, whose rounding could not be taken back
   */
  merge(): void {
    if (this.isMerged) return;
    this.addToBase(1);
    this.isMerged = true;
  }

  /** Takes the adapters out of the base's weights again, exact to float32's rounding. */
  unmerge(): void {
    if (!this.isMerged) return;
    this.addToBase(-1);
    this.isMerged = false;
  }

  /** Disposes the adapters, and gives the base back as it now is: with them if merged, without them if not. */
  unload(): Parameters {
    for (const variable of Object.values(this.variables)) variable.dispose();
    return this.base;
  }

  /** @throws Error always: values of the sum do not say which part is the adapters' */
  override assign(_values: Readonly<Record<string, ParameterValues>>): void {
    throw new Error('weights with adapters cannot be assigned: assign to their base, or load adapters');
  }

  override dispose(): void {
    this.unload().dispose();
  }

  private adapterOf(name: string): Adapter | undefined {
    return this.isMerged || !name.endsWith('.weight') ? undefined : this.adapters.get(name.slice(0, -'.weight'.length));
  }

  private addToBase(sign: 1 | -1): void {
    for (const [layer, adapter] of this.adapters) {
      const weight = this.base.variables[`${layer}.weight`];
      if (!weight) throw new Error(`adapters cannot be merged into '${layer}': its weights are stored in bfloat16`);
      const sum = tf.tidy(() => tf.add(weight, tf.mul(change(adapter), sign)));
      weight.assign(sum);
      sum.dispose();
    }
  }
}

/** (alpha / rank) B A, `[out, in]`. */
function change({ a, b, scaling }: Adapter): tf.Tensor {
  return tf.mul(tf.matMul(b as tf.Tensor2D, a as tf.Tensor2D), scaling);
}

/** What B A is multiplied with. @throws RangeError when alpha is no positive number */
export function loraScaling({ alpha, rank, rankStabilized = false }: LoraOptions, own: number): number {
  const value = alpha ?? rank;
  if (!(value > 0 && Number.isFinite(value)))
    throw new RangeError(`LoRA's alpha must be a positive number, got ${value}`);
  return value / (rankStabilized ? Math.sqrt(own) : own);
}

/** The layers that the targets name. @throws RangeError see {@link LoraParameters.create} */
function targetLayers(base: Parameters, targets: LoraOptions['targets']): string[] {
  const layers = Object.keys(base.specs).flatMap((name) => (name.endsWith('.weight') ? [name.slice(0, -'.weight'.length)] : [])); // prettier-ignore
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
  const unfit = found.flatMap((layer) => {
    const { shape, tiedTo } = base.specs[`${layer}.weight`];
    const sharers = Object.keys(base.specs).filter((name) => base.specs[name].tiedTo === `${layer}.weight`);
    if (shape.length !== 2) return [`${layer} has a weight [${shape}], no matrix`];
    if (/embed|\bwte$|\bwpe$/.test(layer.split('.').pop() ?? '')) return [`${layer} is a table of embeddings`];
    if (tiedTo !== undefined) return [`${layer} shares its weight with ${tiedTo}`];
    return sharers.length > 0 ? [`${layer} shares its weight with ${sharers.join(', ')}`] : [];
  });
  if (unfit.length > 0) throw new RangeError(`LoRA is for linear layers of their own; narrow the targets: ${unfit.join('; ')}`); // prettier-ignore
  return found;
}
