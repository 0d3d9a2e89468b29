/** The part of tf.js's wasm backend that kernels of our own use; its npm package does not export the type. */
import * as tf from '@tensorflow/tfjs';
import { EngineError } from './report';

export type Inputs = Record<string, tf.TensorInfo>;
export type Attributes = Record<string, unknown>;

export interface WasmBackend {
  makeOutput(shape: number[], dtype: tf.DataType): tf.TensorInfo;
  /** A view of the heap, valid until the next allocation. */
  typedArrayFromHeap(tensor: tf.TensorInfo): Float32Array | Int32Array | Uint8Array;
  readSync(dataId: object): tf.backend_util.BackendValues;
  disposeData(dataId: object, force?: boolean): boolean;
  readonly dataIdMap: { get(dataId: object): { memoryOffset: number | null } };
}

/** Runs one of the wasm engine's kernels by name. */
export type Run = (name: string, inputs: Inputs | tf.TensorInfo[], attributes?: Attributes) => tf.TensorInfo;

/**
 * Registers a kernel for the wasm engine, in place of one that may be there.
 * @param make from the inputs and attributes, and the means to run other kernels; intermediate results must be given
 *   to `drop`, which frees them when the kernel is done
 */
export function register(
  name: string,
  make: (
    call: { inputs: Inputs; attributes: Attributes; backend: WasmBackend },
    run: Run,
    drop: (tensor: tf.TensorInfo) => tf.TensorInfo,
  ) => tf.TensorInfo,
): void {
  if (tf.getKernel(name, 'wasm')) tf.unregisterKernel(name, 'wasm');
  tf.registerKernel({
    kernelName: name,
    backendName: 'wasm',
    kernelFunc: ({ inputs, attrs, backend }) => {
      const dropped: tf.TensorInfo[] = [];
      const wasm = backend as WasmBackend;
      const run: Run = (other, given, attributes = {}) => {
        const call = { inputs: given, attrs: attributes, backend } as Parameters<tf.KernelFunc>[0];
        return tf.getKernel(other, 'wasm').kernelFunc(call) as tf.TensorInfo;
      };
      const drop = (tensor: tf.TensorInfo) => {
        dropped.push(tensor);
        return tensor;
      };
      try {
        return make({ inputs: inputs as Inputs, attributes: attrs ?? {}, backend: wasm }, run, drop);
      } finally {
        for (const tensor of dropped) wasm.disposeData(tensor.dataId);
      }
    },
  });
}

/** Makes the end of the heap (4 GiB) an error that says so: unguarded, results would be written over other data. */
export function guardHeap(backend: WasmBackend): void {
  const makeOutput = backend.makeOutput.bind(backend);
  backend.makeOutput = (shape, dtype) => {
    let out: tf.TensorInfo | undefined;
    try {
      out = makeOutput(shape, dtype);
    } catch {
      out = undefined;
    }
    if (!out || (tf.util.sizeFromShape(shape) > 0 && backend.dataIdMap.get(out.dataId).memoryOffset === 0)) {
      throw new EngineError(
        `the wasm engine's memory (4 GiB) is full: no room for a tensor [${shape}]; it cannot go on`,
        'start again with a smaller batch or model, or use the tensorflow engine (`make engine`)',
      );
    }
    return out;
  };
}
