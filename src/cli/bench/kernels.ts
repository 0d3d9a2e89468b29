/** Where the time goes: TensorFlow's kernels, timed one by one. Eager CPU kernels are done when the call returns. */
import { tf } from '../../engine';
import type { KernelShare } from './report';

type Execute = (name: string, ...rest: readonly unknown[]) => unknown;

/**
 * Runs `work` and sums each kernel's calls and seconds, longest first. Empty on engines other than `tensorflow`.
 * What remains between the kernels' sum and the wall clock is JavaScript.
 */
export async function profileKernels(work: () => Promise<unknown>): Promise<KernelShare[]> {
  const backend = tf.backend() as unknown as Partial<Record<'executeSingleOutput' | 'executeMultipleOutputs', Execute>>;
  const sums = new Map<string, { calls: number; seconds: number }>();
  const timed =
    (execute: Execute): Execute =>
    (name, ...rest) => {
      const start = performance.now();
      const result = execute.call(backend, name, ...rest);
      const sum = sums.get(name) ?? { calls: 0, seconds: 0 };
      sums.set(name, { calls: sum.calls + 1, seconds: sum.seconds + (performance.now() - start) / 1000 });
      return result;
    };
  const names = ['executeSingleOutput', 'executeMultipleOutputs'] as const;
  // An own property hides the class's method; deleting it brings the method back.
  for (const name of names) {
    const method = backend[name];
    if (method) backend[name] = timed(method);
  }
  try {
    await work();
  } finally {
    for (const name of names) delete backend[name];
  }
  return [...sums].map(([kernel, sum]) => ({ kernel, ...sum })).sort((a, b) => b.seconds - a.seconds);
}
