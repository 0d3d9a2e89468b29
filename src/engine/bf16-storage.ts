/**
 * Frozen numbers at half their size: kept as bfloat16, given out as float32. tf.js has no such type; TensorFlow keeps
 * them as its own handles, the other engines' as bits in an array of ours.
 */
import * as tf from '@tensorflow/tfjs';
import { BFLOAT16 } from './functions/binding';
import { onTensorflow } from './ops/kernel';

/** Where the bits are. */
interface Place {
  /** All of them, as a new float32 tensor of the storage's shape. */
  read(): tf.Tensor;
  /** Those of some rows of the first axis, `[ids, ...]`. */
  rows(ids: tf.Tensor1D): tf.Tensor;
  dispose(): void;
}

export class Bf16Storage {
  private constructor(
    readonly shape: readonly number[],
    private readonly place: Place,
  ) {}

  /** Keeps a float32 tensor's numbers, rounded to the nearest (of two, the even one). The tensor is not disposed. */
  static of(tensor: tf.Tensor): Bf16Storage {
    return new Bf16Storage([...tensor.shape], onTensorflow() ? tensorflowPlace(tensor) : arrayPlace(tensor));
  }

  /** Bytes that it takes: two a number. */
  get bytes(): number {
    return 2 * tf.util.sizeFromShape([...this.shape]);
  }

  /** The numbers as a new float32 tensor, disposed by the caller or its tidy. No gradient reaches what is kept. */
  float32(): tf.Tensor {
    return this.place.read();
  }

  /**
   * Rows of the first axis.
   * @param ids `[...]` int32
   * @returns `[..., rest of the shape]` float32
   */
  rows(ids: tf.Tensor): tf.Tensor {
    return tf.tidy(() => {
      const found = this.place.rows(tf.reshape(ids, [ids.size]));
      return tf.reshape(found, [...ids.shape, ...this.shape.slice(1)]);
    });
  }

  dispose(): void {
    this.place.dispose();
  }
}

interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean;
}

interface Metadata {
  readonly id: number;
}

/** What is used of the tensorflow backend. */
interface Backend {
  readonly binding: Readonly<
    Record<'TF_FLOAT' | 'TF_INT32' | 'TF_ATTR_TYPE' | 'TF_ATTR_BOOL' | 'TF_ATTR_INT', number>
  > & {
    executeOp(name: string, attributes: readonly Attribute[], ids: readonly number[], outputs: number): Metadata[];
    deleteTensor(id: number): void;
  };
  getInputTensorIds(tensors: readonly tf.TensorInfo[]): number[];
  createOutputTensor(metadata: Metadata): tf.Tensor;
}

function tensorflowPlace(tensor: tf.Tensor): Place {
  const backend = tf.backend() as unknown as Backend;
  // Asked for anew each time: a traced function puts another binding in its place.
  const binding = (): Backend['binding'] => backend.binding;
  const dtype = (name: string, value: number): Attribute => ({ name, type: binding().TF_ATTR_TYPE, value });
  const cast = (from: number, to: number): Attribute[] => [
    dtype('SrcT', from),
    dtype('DstT', to),
    { name: 'Truncate', type: binding().TF_ATTR_BOOL, value: false },
  ];
  const up = (id: number): tf.Tensor =>
    backend.createOutputTensor(binding().executeOp('Cast', cast(BFLOAT16, binding().TF_FLOAT), [id], 1)[0]);
  const [{ id }] = binding().executeOp(
    'Cast',
    cast(binding().TF_FLOAT, BFLOAT16),
    backend.getInputTensorIds([tensor]),
    1,
  );
  return {
    read: () => up(id),
    rows: (ids) => {
      const axis = tf.scalar(0, 'int32');
      const attributes = [
        dtype('Tparams', BFLOAT16),
        dtype('Tindices', binding().TF_INT32),
        dtype('Taxis', binding().TF_INT32),
        { name: 'batch_dims', type: binding().TF_ATTR_INT, value: 0 },
      ];
      const [found] = binding().executeOp('GatherV2', attributes, [id, ...backend.getInputTensorIds([ids, axis])], 1);
      try {
        return up(found.id);
      } finally {
        binding().deleteTensor(found.id);
      }
    },
    dispose: () => binding().deleteTensor(id),
  };
}

function arrayPlace(tensor: tf.Tensor): Place {
  const { shape } = tensor;
  const values = Float32Array.from(tensor.dataSync<'float32'>());
  const bits = Uint16Array.from(new Uint32Array(values.buffer), roundedBits);
  const row = bits.length / Math.max(1, shape[0] ?? 1);
  const expand = (part: Uint16Array): Float32Array => new Float32Array(Uint32Array.from(part, (b) => b << 16).buffer);
  return {
    read: () => tf.tensor(expand(bits), shape, 'float32'),
    rows: (ids) => {
      const out = new Float32Array(ids.size * row);
      ids.dataSync().forEach((id, i) => out.set(expand(bits.subarray(id * row, (id + 1) * row)), i * row));
      return tf.tensor(out, [ids.size, row], 'float32');
    },
    dispose: () => undefined,
  };
}

/** The upper half of a float32's bits, rounded; a NaN stays one. */
function roundedBits(bits: number): number {
  const isNaN = (bits & 0x7fffffff) > 0x7f800000;
  return isNaN ? (bits >>> 16) | 0x40 : ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
