/**
 * A model's parameters by their upstream names. A model declares what it needs (`ParameterSpecs`); this class
 * fills it from a seeded stream or from a checkpoint, and gives it back for saving.
 */
import { embedding, linear, type Rng, tf } from '../engine';
import type { RawTensor, SafetensorsReader, WritableTensor } from '../io';
import { toFloat32 } from '../io';
import {
  CheckpointMismatchError,
  checkShapes,
  checkTied,
  type ParameterSpec,
  type ParameterSpecs,
  untied,
} from './parameter-specs';

export { CheckpointMismatchError, checkShapes, type ParameterSpec, type ParameterSpecs } from './parameter-specs';

/** What is used of an opened checkpoint. */
export type WeightSource = Pick<SafetensorsReader, 'names' | 'info' | 'readFloat32'>;

/** How the names in a file relate to the model's. */
export interface NameRules {
  /** The model's name of a tensor in the file. Default: the same. */
  readonly rename?: (name: string) => string;
  /** Whether a tensor, by its name in the file, carries no parameter of the model. Default: none. */
  readonly ignore?: (name: string) => boolean;
}

/** What is saved of one parameter: upstream shape and values. */
export interface ParameterValues {
  readonly shape: number[];
  readonly data: Float32Array;
}

const CONV_TO_TF = [2, 3, 1, 0];
const CONV_TO_TORCH = [3, 2, 0, 1];

export class Parameters {
  /**
   * Whether a transformer's blocks are computed again for the gradient, so that what they compute on their way needs no
   * memory until then: one forward pass more, for memory that hardly grows with the number of blocks. What is sampled
   * with a cache needs no gradient and is not touched. Default false.
   */
  gradientCheckpointing = false;

  protected constructor(
    readonly specs: ParameterSpecs,
    /** What can learn, by name: every parameter that is not tied to another, in the layout that the forward pass uses. */
    readonly variables: Readonly<Record<string, tf.Variable>>,
  ) {}

  /** Fresh values; each parameter draws from a stream of its own, so adding one never changes the others. */
  static random(specs: ParameterSpecs, rng: Rng): Parameters {
    return new Parameters(
      specs,
      mapSpecs(specs, (spec, name) => {
        const size = spec.shape.reduce((a, b) => a * b, 1);
        const values =
          'normal' in spec.init ? rng.split(name).normal(size) : new Float32Array(size).fill(spec.init.constant);
        if ('normal' in spec.init) for (let i = 0; i < size; i++) values[i] *= spec.init.normal;
        return toVariable(spec, values);
      }),
    );
  }

  /**
   * Values of a checkpoint.
   * @param ignore upstream tensors that carry no parameter (buffers), by name
   * @throws CheckpointMismatchError naming every missing, unknown and mis-shaped tensor
   */
  static fromTensors(
    specs: ParameterSpecs,
    tensors: Readonly<Record<string, RawTensor>>,
    where: string,
    ignore: readonly string[] = [],
  ): Parameters {
    checkShapes(
      specs,
      Object.entries(tensors).filter(([name]) => specs[name] || !ignore.includes(name)),
      where,
    );
    const parameters = new Parameters(
      specs,
      mapSpecs(specs, (spec, name) => toVariable(spec, toFloat32(tensors[name]))),
    );
    for (const [name, { tiedTo }] of Object.entries(specs))
      if (tiedTo && tensors[name]) checkTied(name, toFloat32(tensors[name]), tiedTo, toFloat32(tensors[tiedTo]), where);
    return parameters;
  }

  /**
   * Values of an opened checkpoint, read one tensor at a time: a file never stands in memory beside its parameters.
   * @throws CheckpointMismatchError naming every missing, unknown and mis-shaped tensor, before anything is read
   */
  static async read(
    specs: ParameterSpecs,
    reader: WeightSource,
    where: string,
    rules: NameRules = {},
  ): Promise<Parameters> {
    const variables: Record<string, tf.Variable> = {};
    try {
      await readEach(specs, reader, where, rules, (name, tensor) => uploadNow((variables[name] = tf.variable(tensor))));
    } catch (error) {
      tf.dispose(variables);
      throw error;
    }
    return new Parameters(specs, variables);
  }

  /** What the forward pass computes with under an upstream name. @throws Error for a name that the model does not have */
  get(name: string): tf.Tensor {
    const variable = this.variables[this.ownName(name)];
    if (!variable) throw new Error(`this model has no parameter '${name}'`);
    return variable;
  }

  has(name: string): boolean {
    return name in this.specs;
  }

  /** The linear layer `name`: `x` `[..., in]` -> `[..., out]`, with a bias where the model has one. */
  linear(name: string, x: tf.Tensor): tf.Tensor {
    return linear(x, this.get(`${name}.weight`), this.has(`${name}.bias`) ? this.get(`${name}.bias`) : null);
  }

  /** Rows of the table `name`: `ids` `[...]` int32 -> `[..., dim]`. */
  embedding(name: string, ids: tf.Tensor): tf.Tensor {
    return embedding(this.get(`${name}.weight`), ids);
  }

  /** Number of scalars, tied ones once. */
  count(): number {
    return Object.values(this.specs).reduce(
      (sum, { shape, tiedTo }) => sum + (tiedTo ? 0 : shape.reduce((a, b) => a * b, 1)),
      0,
    );
  }

  /** The name under which a parameter's values are held. */
  protected ownName(name: string): string {
    return this.specs[name]?.tiedTo ?? name;
  }

  /** Values under upstream names, shapes and layouts, for saving. */
  async values(): Promise<Record<string, ParameterValues>> {
    const out: Record<string, ParameterValues> = {};
    for (const name of untied(this.specs)) out[name] = await this.valuesOf(name);
    return out;
  }

  /**
   * The same for `writeSafetensors`, one parameter in memory at a time. The parameters must live until it is written.
   * @param dtype how they are stored; default `F32`
   */
  writable(dtype: 'F32' | 'BF16' | 'F16' = 'F32'): Record<string, WritableTensor> {
    return Object.fromEntries(
      untied(this.specs).map((name): [string, WritableTensor] => [
        name,
        { dtype, shape: this.specs[name].shape, data: async () => (await this.valuesOf(name)).data },
      ]),
    );
  }

  private async valuesOf(name: string): Promise<ParameterValues> {
    const spec = this.specs[name];
    const upstream = tf.tidy(() => {
      const held = this.get(name);
      return spec.layout === 'conv' ? tf.transpose(held, CONV_TO_TORCH) : tf.clone(held);
    });
    const data = new Float32Array(await upstream.data<'float32'>());
    upstream.dispose();
    return { shape: [...spec.shape], data };
  }

  /** Overwrites the values in place, e.g. to restore a checkpoint. Shapes are those of {@link Parameters.values}. */
  assign(values: Readonly<Record<string, ParameterValues>>): void {
    for (const name of untied(this.specs)) {
      const spec = this.specs[name];
      const given = values[name];
      if (!given) throw new CheckpointMismatchError(`missing: ${name} [${spec.shape}]`);
      const fresh = tensorOf(spec, given.data);
      this.variables[name].assign(fresh);
      fresh.dispose();
    }
  }

  /** An independent copy, e.g. the frozen reference of a policy. */
  clone(): Parameters {
    return new Parameters(
      this.specs,
      mapSpecs(this.specs, (_spec, name) => tf.tidy(() => tf.variable(tf.clone(this.get(name))))),
    );
  }

  dispose(): void {
    for (const variable of Object.values(this.variables)) variable.dispose();
  }
}

/**
 * Reads an opened checkpoint one parameter at a time.
 * @param take gets each parameter that is not tied to another, in the layout that the forward pass uses; the tensor is
 *   disposed afterwards
 * @throws CheckpointMismatchError naming every missing, unknown and mis-shaped tensor, before anything is read
 */
export async function readEach(
  specs: ParameterSpecs,
  reader: WeightSource,
  where: string,
  { rename = (name) => name, ignore = () => false }: NameRules,
  take: (name: string, tensor: tf.Tensor) => void,
): Promise<void> {
  const names = reader.names.filter((name) => !ignore(name)).map((name) => [rename(name), name] as const);
  checkShapes(
    specs,
    names.map(([name, stored]) => [name, reader.info(stored)] as const),
    where,
  );
  const storedAs = new Map(names);
  for (const [name, stored] of names) {
    const { tiedTo } = specs[name];
    const values = await reader.readFloat32(stored);
    if (tiedTo === undefined) {
      const tensor = tensorOf(specs[name], values);
      take(name, tensor);
      tensor.dispose();
    } else checkTied(name, values, tiedTo, await reader.readFloat32(storedAs.get(tiedTo) as string), where);
  }
}

/** One value a parameter that is not tied to another. */
function mapSpecs<T>(specs: ParameterSpecs, make: (spec: ParameterSpec, name: string) => T): Record<string, T> {
  return Object.fromEntries(untied(specs).map((name) => [name, make(specs[name], name)]));
}

function tensorOf(spec: ParameterSpec, values: Float32Array): tf.Tensor {
  return tf.tidy(() => {
    const tensor = tf.tensor(values, [...spec.shape], 'float32');
    return spec.layout === 'conv' ? tensor.transpose(CONV_TO_TF) : tensor;
  });
}

function toVariable(spec: ParameterSpec, values: Float32Array): tf.Variable {
  const tensor = tensorOf(spec, values);
  const variable = tf.variable(tensor);
  tensor.dispose();
  return variable;
}

/** A native engine copies a tensor's numbers when it first uses them; until then they would stand outside it, too. */
function uploadNow(tensor: tf.Tensor): void {
  const { shape } = tensor;
  if (tensor.size > 0 && tensor.rank > 0) tf.tidy(() => void tf.slice(tensor, shape.map(() => 0), shape.map(() => 1))); // prettier-ignore
}
