/**
 * Kernels that tf.js's wasm engine lacks or has only as a naive loop, composed from kernels that it has. They are what
 * training needs: the gradients of gather and of a convolution's filter, and transposed or batched matrix products.
 */
import * as tf from '@tensorflow/tfjs';
import { register, type Run, type WasmBackend } from './wasm-backend';

/** Registers all of them; call once, when the wasm engine runs. */
export function registerWasmKernels(): void {
  registerSegmentSum();
  registerFilterGradient();
  registerMatMul();
}

function registerSegmentSum(): void {
  register('UnsortedSegmentSum', ({ inputs: { x, segmentIds }, attributes }, run, drop) => {
    const shape = [attributes.numSegments as number, ...x.shape.slice(segmentIds.shape.length)];
    const indices = drop(run('Reshape', { x: segmentIds }, { shape: [...segmentIds.shape, 1] }));
    return run('ScatterNd', { indices, updates: x }, { shape });
  });
}

/** Convolution as a matrix product: every filter place's slice of the input, side by side, against `dy`. */
function registerFilterGradient(): void {
  register('Conv2DBackpropFilter', ({ inputs: { x, dy }, attributes }, run, drop) => {
    const { strides, pad, dimRoundingMode, dataFormat } = attributes as {
      strides: number;
      pad: number | 'valid' | 'same';
      dimRoundingMode?: 'floor' | 'round' | 'ceil';
      dataFormat: 'NHWC' | 'NCHW';
    };
    const filterShape = attributes.filterShape as [number, number, number, number];
    const info = tf.backend_util.computeConv2DInfo(
      x.shape as [number, number, number, number],
      filterShape,
      strides,
      1,
      pad,
      dimRoundingMode,
      false,
      tf.backend_util.convertConv2DDataFormat(dataFormat),
    );
    const { batchSize, outHeight, outWidth, inChannels, outChannels, strideHeight, strideWidth } = info;
    const { top, left } = info.padInfo;
    const bottom = Math.max(0, (outHeight - 1) * strideHeight + info.filterHeight - info.inHeight - top);
    const right = Math.max(0, (outWidth - 1) * strideWidth + info.filterWidth - info.inWidth - left);
    const paddings = [
      [0, 0],
      [top, bottom],
      [left, right],
      [0, 0],
    ];
    const padded = top || bottom || left || right ? drop(run('PadV2', { x }, { paddings, constantValue: 0 })) : x;
    const rows = batchSize * outHeight * outWidth;
    const columns: tf.TensorInfo[] = [];
    for (let h = 0; h < info.filterHeight; h++) {
      for (let w = 0; w < info.filterWidth; w++) {
        const end = [
          batchSize,
          h + (outHeight - 1) * strideHeight + 1,
          w + (outWidth - 1) * strideWidth + 1,
          inChannels,
        ];
        const part =
          strideHeight === 1 && strideWidth === 1
            ? run('Slice', { x: padded }, { begin: [0, h, w, 0], size: [batchSize, outHeight, outWidth, inChannels] })
            : run(
                'StridedSlice',
                { x: padded },
                { ...noMasks, begin: [0, h, w, 0], end, strides: [1, strideHeight, strideWidth, 1] },
              );
        columns.push(drop(run('Reshape', { x: drop(part) }, { shape: [rows, inChannels] })));
      }
    }
    const table = columns.length > 1 ? drop(run('Concat', columns, { axis: 1 })) : columns[0];
    const a = drop(run('Reshape', { x: table }, { shape: [1, rows, columns.length * inChannels] }));
    const b = drop(run('Reshape', { x: dy }, { shape: [1, rows, outChannels] }));
    const product = drop(run('BatchMatMul', { a, b }, { transposeA: true, transposeB: false }));
    return run('Reshape', { x: product }, { shape: filterShape });
  });
}

const noMasks = { beginMask: 0, endMask: 0, ellipsisMask: 0, newAxisMask: 0, shrinkAxisMask: 0 };

/** The fast path (about 30 against 2 GFLOP/s) is a plain product of two matrices: transpose first, one by one. */
function registerMatMul(): void {
  const original = tf.getKernel('BatchMatMul', 'wasm').kernelFunc;
  register('BatchMatMul', ({ inputs: { a, b }, attributes, backend }, run, drop) => {
    const multiply = (x: tf.TensorInfo, y: tf.TensorInfo): tf.TensorInfo =>
      original({ inputs: { a: x, b: y }, attrs: { transposeA: false, transposeB: false }, backend }) as tf.TensorInfo;
    const left = attributes.transposeA ? drop(transposeLast(a, run)) : a;
    const right = attributes.transposeB ? drop(transposeLast(b, run)) : b;
    const [p, q, r] = [left.shape.at(-2) ?? 1, left.shape.at(-1) ?? 1, right.shape.at(-1) ?? 1];
    const [batchA, batchB] = [left, right].map((t) => tf.util.sizeFromShape(t.shape.slice(0, -2)));
    const batch = Math.max(batchA, batchB);
    const alike = batchA === batchB && tf.util.arraysEqual(left.shape.slice(0, -2), right.shape.slice(0, -2));
    if (batch <= 1 || !(alike || batchA === 1 || batchB === 1)) return multiply(left, right);
    const outer = tf.broadcast_util.assertAndGetBroadcastShape(left.shape.slice(0, -2), right.shape.slice(0, -2));
    const out = backend.makeOutput([...outer, p, r], 'float32');
    for (let i = 0; i < batch; i++) {
      const x = copyMatrix(backend, left, batchA === 1 ? 0 : i, [1, p, q]);
      const y = copyMatrix(backend, right, batchB === 1 ? 0 : i, [1, q, r]);
      const product = multiply(x, y);
      backend.typedArrayFromHeap(out).set(backend.typedArrayFromHeap(product), i * p * r);
      for (const tensor of [x, y, product]) backend.disposeData(tensor.dataId);
    }
    return out;
  });
}

function transposeLast(x: tf.TensorInfo, run: Run): tf.TensorInfo {
  const perm = x.shape.map((_, axis) => axis);
  const last = x.shape.length - 1;
  [perm[last - 1], perm[last]] = [last, last - 1];
  return run('Transpose', { x }, { perm });
}

function copyMatrix(
  backend: WasmBackend,
  x: tf.TensorInfo,
  index: number,
  shape: [number, number, number],
): tf.TensorInfo {
  const size = shape[1] * shape[2];
  const out = backend.makeOutput(shape, 'float32');
  const values = backend.typedArrayFromHeap(x).subarray(index * size, (index + 1) * size);
  backend.typedArrayFromHeap(out).set(values);
  return out;
}
