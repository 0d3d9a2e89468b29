/** Kernels of tf.js on TensorFlow that traced functions need otherwise. */
import * as tf from '@tensorflow/tfjs';
import { functionBackend } from './functions/binding';
import { int, kernel, type } from './ops/kernel';

/** Replaces them, where functions can be traced. */
export function useTraceableKernels(): void {
  if (!functionBackend()) return;
  useUnreadGather();
  useSameSoftmax();
}

/**
 * tf.js's kernel reads the indices to check them, at each call, and a traced function has none to read yet. On a CPU
 * TensorFlow's kernel checks them by itself, with an error that names the index and the size.
 */
function useUnreadGather(): void {
  tf.unregisterKernel('GatherV2', 'tensorflow');
  tf.registerKernel({
    kernelName: 'GatherV2',
    backendName: 'tensorflow',
    kernelFunc: ({ inputs, attrs }) => {
      const { x, indices } = inputs as Record<'x' | 'indices', tf.Tensor>;
      const { axis, batchDims } = attrs as unknown as Record<'axis' | 'batchDims', number>;
      const place = tf.scalar(axis, 'int32');
      try {
        const types = [type('Tparams', x.dtype), type('Tindices', indices.dtype), type('Taxis', 'int32')];
        return kernel('GatherV2', [int('batch_dims', batchDims), ...types], [x, indices, place]);
      } finally {
        place.dispose();
      }
    },
  });
}

/**
 * In a graph TensorFlow puts oneDNN's softmax in place of its own, whose last bits differ; of the log-softmax there is
 * only one.
 */
function useSameSoftmax(): void {
  tf.unregisterKernel('Softmax', 'tensorflow');
  tf.registerKernel({
    kernelName: 'Softmax',
    backendName: 'tensorflow',
    kernelFunc: ({ inputs }) => {
      const logs = kernel('LogSoftmax', [type('T')], [inputs.logits as tf.Tensor]);
      try {
        return kernel('Exp', [type('T')], [logs]);
      } finally {
        logs.dispose();
      }
    },
  });
}
