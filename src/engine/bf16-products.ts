/**
 * Matrix products and convolutions in bfloat16 on CPUs. With AMX, oneDNN rounds by itself
 * (`ONEDNN_DEFAULT_FPMATH_MODE`), and products of two matrices are a kernel of our own, which rounds the same way and
 * takes a third to two thirds of the time. With AVX-512 alone oneDNN only rounds bfloat16 tensors, which tf.js has no
 * type for. So inputs are cast, multiplied and cast back as TensorFlow's own handles: half the time. Products of few
 * rows are kernels of our own, which a repeated step gives its weights as they need them.
 */
import * as tf from '@tensorflow/tfjs';
import { readFileSync } from 'node:fs';
import { BFLOAT16 } from './functions/binding';
import { hasOwnKernel } from './ops/kernel';

/** Products with fewer multiplications stay in float32: the casts would cost what the product saves. */
const WORTH_CASTING = 2 ** 22;

/** Weights of fewer numbers are multiplied as they are, by few rows. */
const WORTH_ROUNDING = 2 ** 14;

interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean;
}

interface Metadata {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

type Execute = (name: string, attributes: readonly Attribute[], inputs: readonly tf.TensorInfo[]) => tf.TensorInfo;

interface Backend {
  readonly binding: {
    readonly TF_FLOAT: number;
    readonly TF_ATTR_TYPE: number;
    readonly TF_ATTR_BOOL: number;
    readonly TF_ATTR_INT: number;
    executeOp(name: string, attributes: readonly Attribute[], ids: readonly number[], outputs: number): Metadata[];
    deleteTensor(id: number): void;
  };
  executeSingleOutput: Execute;
  getInputTensorIds(tensors: readonly tf.TensorInfo[]): number[];
  createOutputTensor(metadata: Metadata): tf.TensorInfo;
}

/** The operations, with the inputs that are cast. Batched products (attention) are small, and stay exact. */
const CAST_INPUTS: Readonly<Record<string, readonly [number, number]>> = {
  MatMul: [0, 1],
  BatchMatMulV2: [0, 1],
  Conv2D: [0, 1],
  Conv2DBackpropInput: [1, 2],
  Conv2DBackpropFilter: [0, 2],
};

/** Our own product of two matrices, where the processor has a unit for it. */
const OWN_PRODUCT = 'UnilabProduct';

/** Our own product of few rows with a weight `[outputs, inner]`, for processors without such a unit. */
const FEW_ROWS = { weight: 'UnilabPairs', product: 'UnilabFewRows', most: 32 } as const;

let installed = false;
let exact = 0;

/**
 * Runs `compute` with float32 products: for values whose last digits matter, such as logits. The gradients of what is
 * computed here are taken later, and in bfloat16. With AMX products are rounded here, too.
 */
export function inFloat32<T>(compute: () => T): T {
  exact++;
  try {
    return compute();
  } finally {
    exact--;
  }
}

/**
 * True on a CPU whose bfloat16 products must be asked for: AVX-512's instructions without AMX's.
 * @param cpuinfo the system's list of the CPU's features; false where there is none
 */
export function needsBf16Casts(cpuinfo = '/proc/cpuinfo'): boolean {
  try {
    const flags = /^flags\s*:(.*)$/m.exec(readFileSync(cpuinfo, 'utf8'))?.[1].split(/\s+/) ?? [];
    return flags.includes('avx512_bf16') && !flags.includes('amx_bf16');
  } catch {
    return false; // another system: float32 is right everywhere
  }
}

/** From now on, large products on the running `tensorflow` backend round inputs and result to bfloat16. */
export function useBf16Products(): void {
  if (installed) return;
  installed = true;
  // On the class, so that whoever hides the method for a while (a profile) finds this one again.
  const methods = Object.getPrototypeOf(tf.backend()) as Backend;
  const plain = methods.executeSingleOutput;
  methods.executeSingleOutput = function (this: Backend, name, attributes, inputs) {
    const at = exact > 0 ? undefined : CAST_INPUTS[name];
    if (at && isOfFewRows(name, attributes, inputs)) return ofFewRows(this, plain, inputs);
    if (!at || !isWorth(name, inputs, at)) return plain.call(this, name, attributes, inputs);
    return inBf16(this, name, attributes, inputs, at);
  };
}

/** From now on, products of two matrices on the running `tensorflow` backend are our own, where there is such a kernel. */
export function useOwnProducts(): void {
  if (installed || !hasOwnKernel(OWN_PRODUCT)) return;
  installed = true;
  const methods = Object.getPrototypeOf(tf.backend()) as Backend;
  const plain = methods.executeSingleOutput;
  methods.executeSingleOutput = function (this: Backend, name, attributes, inputs) {
    const isOwn = name === 'BatchMatMulV2' && inputs.every(isMatrix);
    if (!isOwn) return plain.call(this, name, attributes, inputs);
    const sides = attributes.filter((attribute) => attribute.name !== 'T');
    return plain.call(this, OWN_PRODUCT, sides, inputs);
  };
}

const isMatrix = ({ dtype, shape }: tf.TensorInfo): boolean =>
  dtype === 'float32' && shape.length === 2 && shape[0] * shape[1] > 0;

function isOfFewRows(name: string, attributes: readonly Attribute[], inputs: readonly tf.TensorInfo[]): boolean {
  const [x, weight] = inputs;
  if (name !== 'BatchMatMulV2' || !inputs.every(isMatrix) || x.shape[0] > FEW_ROWS.most) return false;
  const flag = (of: string) => attributes.some((attribute) => attribute.name === of && attribute.value === true);
  const size = weight.shape[0] * weight.shape[1];
  return !flag('adj_x') && flag('adj_y') && size >= WORTH_ROUNDING && hasOwnKernel(FEW_ROWS.product);
}

function ofFewRows(backend: Backend, run: Execute, [x, weight]: readonly tf.TensorInfo[]): tf.TensorInfo {
  const { binding } = backend;
  const pairs = run.call(backend, FEW_ROWS.weight, [], [weight]);
  try {
    const outputs = { name: 'outputs', type: binding.TF_ATTR_INT, value: weight.shape[0] };
    return run.call(backend, FEW_ROWS.product, [outputs], [x, pairs]);
  } finally {
    (pairs as tf.Tensor).dispose();
  }
}

function isWorth(name: string, inputs: readonly tf.TensorInfo[], at: readonly [number, number]): boolean {
  const [a, b] = at.map((i) => inputs[i]);
  if (a.dtype !== 'float32' || b.dtype !== 'float32') return false;
  const rank = name.startsWith('Conv') ? 4 : 2;
  if (a.shape.length !== rank || b.shape.length !== rank) return false;
  // Of a product of two matrices this is about the number of multiplications, whichever is transposed.
  const [large, small] = [a, b].map((tensor) => tf.util.sizeFromShape(tensor.shape)).sort((x, y) => y - x);
  return large * Math.sqrt(small) >= WORTH_CASTING;
}

function inBf16(
  backend: Backend,
  name: string,
  attributes: readonly Attribute[],
  inputs: readonly tf.TensorInfo[],
  at: readonly number[],
) {
  const { binding } = backend;
  const cast = (from: number, to: number): Attribute[] => [
    { name: 'SrcT', type: binding.TF_ATTR_TYPE, value: from },
    { name: 'DstT', type: binding.TF_ATTR_TYPE, value: to },
    { name: 'Truncate', type: binding.TF_ATTR_BOOL, value: false },
  ];
  const handles: number[] = [];
  const run = (operation: string, options: readonly Attribute[], ids: readonly number[]): number => {
    const [{ id }] = binding.executeOp(operation, options, ids, 1);
    handles.push(id);
    return id;
  };
  try {
    const down = cast(binding.TF_FLOAT, BFLOAT16);
    const ids = backend.getInputTensorIds(inputs).map((id, i) => (at.includes(i) ? run('Cast', down, [id]) : id));
    const typed = attributes.map((attribute) =>
      attribute.name === 'T' ? { ...attribute, value: BFLOAT16 } : attribute,
    );
    const product = run(name, typed, ids);
    return backend.createOutputTensor(binding.executeOp('Cast', cast(BFLOAT16, binding.TF_FLOAT), [product], 1)[0]);
  } finally {
    for (const id of handles) binding.deleteTensor(id);
  }
}
