/**
 * A model's parameters by their upstream names. A model declares what it needs (`ParameterSpecs`); this class
 * fills it from a seeded stream or from a checkpoint, and gives it back for saving.
 */
import { type Stream, tf } from '../engine';
import type { RawTensor, SafetensorsReader } from '../io';
import { toFloat32 } from '../io';

export interface ParameterSpec {
  /** Upstream (PyTorch) shape: `[out, in]` for linear layers, `[out, in, height, width]` for convolutions. */
  readonly shape: readonly number[];
  /** `normal` with standard deviation `std`, or a constant. */
  readonly init: { readonly normal: number } | { readonly constant: number };
  /** `conv`: held as `[height, width, in, out]`, the layout tf.js convolves with. Default `plain`: held as upstream. */
  readonly layout?: 'plain' | 'conv';
}

export type ParameterSpecs = Readonly<Record<string, ParameterSpec>>;

/** A checkpoint does not fit the model: every unknown, missing and mis-shaped tensor, listed at once. */
export class CheckpointMismatchError extends Error {
  override readonly name = 'CheckpointMismatchError';
}

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
  private constructor(
    readonly specs: ParameterSpecs,
    /** The variables, by upstream name, in the layout that the forward pass uses. */
    readonly variables: Readonly<Record<string, tf.Variable>>,
  ) {}

  /** Fresh values; each parameter draws from a stream of its own, so adding one never changes the others. */
  static random(specs: ParameterSpecs, stream: Stream): Parameters {
    return new Parameters(
      specs,
      mapSpecs(specs, (spec, name) => {
        const size = spec.shape.reduce((a, b) => a * b, 1);
        const values =
          'normal' in spec.init
            ? stream.fork(name).fill('normal', size)
            : new Float32Array(size).fill(spec.init.constant);
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
    return new Parameters(
      specs,
      mapSpecs(specs, (spec, name) => toVariable(spec, toFloat32(tensors[name]))),
    );
  }

  /**
   * Values of an opened checkpoint, read one tensor at a time: a file never stands in memory beside its parameters.
   * @throws CheckpointMismatchError naming every missing, unknown and mis-shaped tensor, before anything is read
   */
  static async read(
    specs: ParameterSpecs,
    reader: SafetensorsReader,
    where: string,
    { rename = (name) => name, ignore = () => false }: NameRules = {},
  ): Promise<Parameters> {
    const names = reader.names.filter((name) => !ignore(name)).map((name) => [rename(name), name] as const);
    checkShapes(
      specs,
      names.map(([name, stored]) => [name, reader.info(stored)] as const),
      where,
    );
    const variables: Record<string, tf.Variable> = {};
    try {
      for (const [name, stored] of names) variables[name] = toVariable(specs[name], await reader.readFloat32(stored));
    } catch (error) {
      tf.dispose(variables);
      throw error;
    }
    return new Parameters(specs, variables);
  }

  /** The variable of an upstream name. @throws Error for a name that the model does not have */
  get(name: string): tf.Variable {
    const variable = this.variables[name];
    if (!variable) throw new Error(`this model has no parameter '${name}'`);
    return variable;
  }

  has(name: string): boolean {
    return name in this.variables;
  }

  /** Number of scalars. */
  count(): number {
    return Object.values(this.specs).reduce((sum, spec) => sum + spec.shape.reduce((a, b) => a * b, 1), 0);
  }

  /** Values under upstream names, shapes and layouts, for saving. */
  async values(): Promise<Record<string, ParameterValues>> {
    const out: Record<string, ParameterValues> = {};
    for (const [name, spec] of Object.entries(this.specs))
      out[name] = await parameterValues(spec, this.variables[name]);
    return out;
  }

  /** Overwrites the values in place, e.g. to restore a checkpoint. Shapes are those of {@link Parameters.values}. */
  assign(values: Readonly<Record<string, ParameterValues>>): void {
    for (const [name, spec] of Object.entries(this.specs)) {
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
      mapSpecs(this.specs, (_spec, name) => tf.tidy(() => tf.variable(this.variables[name].clone()))),
    );
  }

  dispose(): void {
    for (const variable of Object.values(this.variables)) variable.dispose();
  }
}

/** @throws CheckpointMismatchError listing everything that does not fit */
function checkShapes(
  specs: ParameterSpecs,
  found: readonly (readonly [name: string, tensor: { readonly shape: readonly number[] }])[],
  where: string,
): void {
  const shapes = new Map(found.map(([name, { shape }]) => [name, shape]));
  const faults: string[] = [];
  for (const [name, { shape }] of Object.entries(specs)) {
    const other = shapes.get(name);
    if (!other) faults.push(`missing: ${name} [${shape}]`);
    else if (other.join() !== shape.join()) faults.push(`${name}: expected [${shape}], found [${other}]`);
  }
  found.forEach(([name, { shape }], i) => {
    if (!specs[name]) faults.push(`unknown: ${name} [${shape}]`);
    else if (found.findIndex(([other]) => other === name) < i) faults.push(`twice, under two names: ${name}`);
  });
  if (faults.length > 0)
    throw new CheckpointMismatchError(`${where} does not fit this configuration:\n  ${faults.join('\n  ')}`);
}

function mapSpecs<T>(specs: ParameterSpecs, make: (spec: ParameterSpec, name: string) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, make(spec, name)]));
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

async function parameterValues(spec: ParameterSpec, variable: tf.Variable): Promise<ParameterValues> {
  const upstream = spec.layout === 'conv' ? tf.transpose(variable, CONV_TO_TORCH) : variable;
  const data = new Float32Array(await upstream.data<'float32'>());
  if (upstream !== variable) upstream.dispose();
  return { shape: [...spec.shape], data };
}
