/** What is used of TensorFlow's binding for Node, and of the tf.js backend in front of it. */
import * as tf from '@tensorflow/tfjs';

/** TensorFlow's number for bfloat16 (`DT_BFLOAT16`), which tf.js has no type for. */
export const BFLOAT16 = 14;

/** One attribute of an operation, with the binding's number for its type. */
export interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean | string | Uint8Array | readonly number[] | readonly boolean[];
}

/** What a tensor is to the binding. `shape` is given to tf.js, which keeps it. */
export interface Metadata {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

export type Values = Float32Array | Int32Array | Uint8Array | BigInt64Array;

/** The methods that carry work to TensorFlow. */
export interface Methods {
  createTensor(shape: readonly number[], dtype: number, values: Values): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Values;
  executeOp(op: string, attributes: readonly Attribute[], ids: readonly number[], outputs: number): Metadata[];
}

/** The binding. The last ones are ours (`src/engine/binding`), compiled into it by `make engine`. */
export type Binding = Methods &
  Readonly<Record<`TF_${string}`, number>> & {
    readonly registerFunction?: (
      name: string,
      graph: Uint8Array,
      inputs: string,
      outputs: string,
      controls: string,
    ) => void;
    /** Whether attributes that are strings may be bytes. */
    readonly acceptsBytes?: () => boolean;
    removeFunction(name: string): void;
    describeTensor(id: number): { shape: number[]; dtype: number };
  };

/** What tf.js keeps of the data of a tensor. */
export interface TensorData {
  /** -1 before its numbers are uploaded. */
  id: number;
  values: Values | null;
}

export interface Backend {
  binding: Binding;
  readonly tensorMap: { get(dataId: object): TensorData | undefined };
  /** Keeps numbers that are not uploaded yet. */
  move(dataId: object, values: object | null, ...rest: unknown[]): void;
  createOutputTensor(metadata: Metadata): tf.TensorInfo;
  getInputTensorIds(tensors: readonly tf.TensorInfo[]): number[];
  executeSingleOutput(op: string, attributes: readonly Attribute[], inputs: readonly tf.TensorInfo[]): tf.Tensor;
}

/** The running `tensorflow` backend, when its binding can register functions. */
export function functionBackend(): Backend | undefined {
  if (tf.getBackend() !== 'tensorflow') return undefined;
  const backend = tf.backend() as unknown as Backend;
  return backend.binding.registerFunction ? backend : undefined;
}
