/**
 * The numbers of a module by upstream name: drawn at random or read from a checkpoint, saved, copied, frozen. A store
 * computes nothing; `module.with(store)` does.
 */
import { type Rng, tf } from '../engine';
import { type RawTensor, toFloat32, type WritableTensor } from '../io';
import {
  CheckpointMismatchError,
  type CheckpointReader,
  checkShapes,
  checkTied,
  type ExpectedTensors,
  type NameRules,
} from './checkpoint-fit';
import { type Module, namedParameters, type NamedParameters, type Parameter, type Weight } from './module';
import { randomValues, sizeOf, type StorageType, tensorOf, upstreamOf, weightOf } from './parameter-values';
import { Bf16Weight, Float32Weight } from './weights';

/** What is saved of one parameter: upstream shape and values. */
export interface ParameterValues {
  readonly shape: number[];
  readonly data: Float32Array;
}

export class ParamStore {
  private constructor(
    private readonly named: NamedParameters,
    private readonly weights: ReadonlyMap<string, Weight>,
  ) {}

  /**
   * Fresh numbers for all parameters of a module, each from a stream of its own name: adding one never changes the
   * others.
   */
  static random(net: Module, rng: Rng): ParamStore {
    return ParamStore.fill(net, (name, parameter) => randomValues(parameter, rng.split(name)));
  }

  /**
   * Numbers of the caller's for all parameters of a module.
   * @param values gives each parameter's in upstream's shape; what it throws disposes what was made
   */
  static fill(net: Module, values: (name: string, parameter: Parameter) => Float32Array): ParamStore {
    const named = namedParameters(net);
    return new ParamStore(named, floatWeights(named.own, values));
  }

  /**
   * The same for those parameters alone that have no numbers yet: what was put around or beside layers of a bound
   * module, such as the rows of learned tokens. `module.with(added)` then computes.
   */
  static added(net: Module, values: (name: string, parameter: Parameter) => Float32Array): ParamStore {
    const own = new Map([...namedParameters(net).own].filter(([, parameter]) => !parameter.bound));
    return new ParamStore({ own, aliases: new Map() }, floatWeights(own, values));
  }

  /**
   * Numbers of tensors in memory.
   * @param where the file's name, for errors
   * @param ignore upstream tensors that carry no parameter (buffers), by name
   * @throws CheckpointMismatchError naming every missing, unknown and mis-shaped tensor at once
   */
  static fromTensors(
    net: Module,
    tensors: Readonly<Record<string, RawTensor>>,
    where: string,
    ignore: readonly string[] = [],
  ): ParamStore {
    const { aliases, own } = namedParameters(net);
    const found = Object.entries(tensors).filter(
      ([name]) => own.has(name) || aliases.has(name) || !ignore.includes(name),
    );
    checkShapes(expectedTensors(net), found, where);
    for (const [alias, name] of aliases)
      if (Object.hasOwn(tensors, alias))
        checkTied(alias, toFloat32(tensors[alias]), name, toFloat32(tensors[name]), where);
    return ParamStore.fill(net, (name) => toFloat32(tensors[name]));
  }

  /**
   * Numbers of an opened checkpoint, read one tensor at a time: a file never stands in memory beside its parameters.
   * @param dtype `BF16`: read straight into frozen bfloat16, of which one parameter at a time stands there as float32
   * @throws CheckpointMismatchError naming every missing, unknown and mis-shaped tensor, before anything is read
   */
  static async read(
    net: Module,
    reader: CheckpointReader,
    where: string,
    { rename = (name) => name, ignore = () => false }: NameRules = {},
    dtype: StorageType = 'F32',
  ): Promise<ParamStore> {
    const named = namedParameters(net);
    const names = reader.names.filter((name) => !ignore(name)).map((name) => [rename(name), name] as const);
    const infos = names.map(([name, stored]) => [name, reader.info(stored)] as const);
    checkShapes(expectedTensors(net), infos, where);
    const storedAs = new Map(names);
    const weights = new Map<string, Weight>();
    try {
      for (const [name, stored] of names) {
        const values = await reader.readFloat32(stored);
        const tiedTo = named.aliases.get(name);
        if (tiedTo === undefined) weights.set(name, weightOf(named.own.get(name) as Parameter, values, dtype));
        else checkTied(name, values, tiedTo, await reader.readFloat32(storedAs.get(tiedTo) as string), where);
      }
    } catch (error) {
      for (const weight of weights.values()) weight.dispose();
      throw error;
    }
    return new ParamStore(named, weights);
  }

  /** Names of all parameters with numbers of their own; tied ones once. */
  get names(): string[] {
    return [...this.weights.keys()];
  }

  /** Where the numbers of a parameter are; undefined for a name that this store does not have. */
  weight(name: string): Weight | undefined {
    return this.weights.get(this.named.aliases.get(name) ?? name);
  }

  /**
   * A parameter as the forward pass computes with it, tied names included; of bfloat16 a new tensor.
   * @throws Error for a name that the store does not have
   */
  get(name: string): tf.Tensor {
    const weight = this.weight(name);
    if (!weight) throw new Error(`this model has no parameter '${name}'`);
    return weight.value();
  }

  /** What can learn, by name: for an optimizer, and for the checkpoints of a run. Nothing of a frozen store. */
  get variables(): Record<string, tf.Variable> {
    const named = [...this.weights].flatMap(([name, { variables }]) =>
      Object.entries(variables).map(([suffix, variable]) => [name + suffix, variable] as const),
    );
    return Object.fromEntries(named);
  }

  /** Number of scalars, tied ones once. */
  count(): number {
    return countOf(this.named.own);
  }

  /** Memory that the numbers take. */
  get bytes(): number {
    return [...this.weights.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Values under upstream names, shapes and layouts, for saving. */
  async values(): Promise<Record<string, ParameterValues>> {
    const out: Record<string, ParameterValues> = {};
    for (const name of this.names) out[name] = await this.valuesOf(name);
    return out;
  }

  /**
   * The same for `writeSafetensors`, one parameter in memory at a time. The store must live until it is written.
   * @param dtype how they are stored; default `F32`
   */
  writable(dtype: 'F32' | 'BF16' | 'F16' = 'F32'): Record<string, WritableTensor> {
    const entries = this.names.map((name): [string, WritableTensor] => [
      name,
      { dtype, shape: this.parameter(name).shape, data: async () => (await this.valuesOf(name)).data },
    ]);
    return Object.fromEntries(entries);
  }

  /**
   * Overwrites the numbers in place, e.g. to restore a checkpoint.
   * @param values shaped as {@link ParamStore.values} gives them
   * @throws CheckpointMismatchError naming every missing and mis-shaped tensor, before anything is changed; Error when
   *   the numbers are frozen in bfloat16
   */
  assign(values: Readonly<Record<string, ParameterValues>>): void {
    const faults = this.names.flatMap((name) => {
      const { shape } = this.parameter(name);
      const given = (values as Partial<typeof values>)[name];
      if (!given) return [`missing: ${name} [${shape}]`];
      return given.data.length === sizeOf(shape) ? [] : [`${name}: expected [${shape}], found [${given.shape}]`];
    });
    if (faults.length > 0) throw new CheckpointMismatchError(faults.join('\n  '));
    for (const [name, { variables }] of this.weights) {
      const variable = (variables as Partial<typeof variables>)[''];
      if (!variable)
        throw new Error(
          'these parameters are frozen in bfloat16: assign to the ones they were copied from, and copy again',
        );
      const fresh = tensorOf(this.parameter(name), values[name].data);
      variable.assign(fresh);
      fresh.dispose();
    }
  }

  /** An independent copy, e.g. the frozen reference of a policy. */
  clone(dtype: StorageType = 'F32'): ParamStore {
    const copies = [...this.weights].map(([name, weight]) => {
      const values = tf.tidy(() => tf.clone(weight.value()));
      const copy = (dtype === 'F32' ? Float32Weight : Bf16Weight).copy(values);
      values.dispose();
      return [name, copy] as const;
    });
    return new ParamStore(this.named, new Map(copies));
  }

  /**
   * The same store, shared and not copied, with other forms of some weights, e.g. a table whose rows share a part. Of
   * the two, one is to be disposed: this one, which disposes what `wrap` made.
   * @throws Error for a name that the store does not have
   */
  wrapping(names: readonly string[], wrap: (weight: Weight, name: string) => Weight): ParamStore {
    const weights = new Map(this.weights);
    for (const name of names) {
      const weight = weights.get(name);
      if (!weight) throw new Error(`this model has no parameter '${name}'`);
      weights.set(name, wrap(weight, name));
    }
    return new ParamStore(this.named, weights);
  }

  dispose(): void {
    for (const weight of this.weights.values()) weight.dispose();
  }

  private parameter(name: string): Parameter {
    return this.named.own.get(name) as Parameter;
  }

  private async valuesOf(name: string): Promise<ParameterValues> {
    const { shape, layout } = this.parameter(name);
    const upstream = tf.tidy(() => upstreamOf(this.get(name), layout));
    try {
      return { shape: [...shape], data: new Float32Array(await upstream.data<'float32'>()) };
    } finally {
      upstream.dispose();
    }
  }
}

/** Number of scalars of a module, tied ones once; it needs no numbers for that. */
export function parameterCount(net: Module): number {
  return countOf(namedParameters(net).own);
}

/** What a checkpoint of a module holds. */
export function expectedTensors(net: Module): ExpectedTensors {
  const { own, aliases } = namedParameters(net);
  const tied = [...aliases].map(([alias, name]) => {
    const { shape } = own.get(name) as Parameter;
    return [alias, { shape, tiedTo: name }] as const;
  });
  return Object.fromEntries([...[...own].map(([name, { shape }]) => [name, { shape }] as const), ...tied]);
}

function floatWeights(
  own: ReadonlyMap<string, Parameter>,
  values: (name: string, parameter: Parameter) => Float32Array,
): Map<string, Weight> {
  const weights = new Map<string, Weight>();
  try {
    for (const [name, parameter] of own) weights.set(name, weightOf(parameter, values(name, parameter), 'F32'));
  } catch (error) {
    for (const weight of weights.values()) weight.dispose();
    throw error;
  }
  return weights;
}

function countOf(own: ReadonlyMap<string, Parameter>): number {
  return [...own.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}
