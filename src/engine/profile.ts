/** Where the time goes: the kernels that a piece of work runs, by name. */
import * as tf from '@tensorflow/tfjs';
import { withoutTracing } from './functions';
import { onTensorflow } from './ops/kernel';

/** One kernel's share. */
export interface KernelTime {
  readonly kernel: string;
  readonly calls: number;
  /** Time in the kernel itself, without the kernels that it runs. */
  readonly milliseconds: number;
  /** `milliseconds / elapsed`, 0..1. */
  readonly share: number;
}

export interface KernelProfile<T> {
  readonly value: T;
  /** Wall time of the whole work. */
  readonly elapsed: number;
  /** Largest first. What is missing to `elapsed` is JavaScript and waiting. */
  readonly kernels: readonly KernelTime[];
}

type Execute = (name: string, ...rest: unknown[]) => unknown;

/** Counts self time: what a kernel spends in kernels that it calls is theirs. */
class Clock {
  readonly entries = new Map<string, { calls: number; milliseconds: number }>();
  private readonly inner: number[] = [];

  run<R>(name: string, work: () => R): R {
    this.inner.push(0);
    const start = performance.now();
    try {
      return work();
    } finally {
      const took = performance.now() - start;
      const entry = this.entries.get(name) ?? { calls: 0, milliseconds: 0 };
      entry.calls++;
      entry.milliseconds += took - (this.inner.pop() ?? 0);
      this.entries.set(name, entry);
      if (this.inner.length > 0) this.inner[this.inner.length - 1] += took;
    }
  }
}

/** Puts the clock around TensorFlow's operations. @returns what takes it away */
function watchTensorflow(clock: Clock): () => void {
  const backend = tf.backend() as unknown as Record<string, Execute | undefined>;
  const undo = ['executeSingleOutput', 'executeMultipleOutputs'].map((method) => {
    // The engine may have put a method of its own before the class's: that one comes back.
    const own = Object.getOwnPropertyDescriptor(backend, method);
    const original = (backend[method] as Execute).bind(backend);
    backend[method] = (name, ...rest) => clock.run(name, () => original(name, ...rest));
    return () => {
      Reflect.deleteProperty(backend, method);
      if (own) Object.defineProperty(backend, method, own);
    };
  });
  return () => undo.forEach((restore) => restore());
}

/** Puts the clock around the registered kernels of any other engine. */
function watchKernels(clock: Clock): () => void {
  const configs = tf.getKernelsForBackend(tf.getBackend());
  const originals = configs.map((config) => config.kernelFunc);
  configs.forEach((config, i) => {
    config.kernelFunc = (call) => clock.run(config.kernelName, () => originals[i](call));
  });
  return () => configs.forEach((config, i) => (config.kernelFunc = originals[i]));
}

/**
 * Runs work and measures it by kernel. Exact where kernels run at once (tensorflow on a CPU, wasm); on a GPU kernels
 * are only queued, and the times are those of queueing. Traced functions run operation by operation meanwhile.
 * @param fn the work; run it once before, so that first-time costs stay out. Other work must not run meanwhile.
 */
export async function profileKernels<T>(fn: () => T | Promise<T>): Promise<KernelProfile<T>> {
  const clock = new Clock();
  const stop = onTensorflow() ? watchTensorflow(clock) : watchKernels(clock);
  const start = performance.now();
  try {
    const value = await withoutTracing(fn);
    const elapsed = performance.now() - start;
    const kernels = [...clock.entries]
      .map(([kernel, { calls, milliseconds }]) => ({ kernel, calls, milliseconds, share: milliseconds / elapsed }))
      .sort((a, b) => b.milliseconds - a.milliseconds);
    return { value, elapsed, kernels };
  } finally {
    stop();
  }
}

/** A profile as lines of text, the rest (`JavaScript`) last. @param rows how many kernels to name; default 12 */
export function profileTable(profile: KernelProfile<unknown>, rows = 12): string {
  const line = (name: string, calls: string, milliseconds: number) =>
    `${name.padEnd(32)} ${calls.padStart(6)} ${milliseconds.toFixed(1).padStart(10)} ms ${((100 * milliseconds) / profile.elapsed).toFixed(1).padStart(5)}%`;
  const others = profile.kernels.slice(rows);
  const sum = (list: readonly KernelTime[], key: 'calls' | 'milliseconds') => list.reduce((s, k) => s + k[key], 0);
  return [
    ...profile.kernels.slice(0, rows).map((k) => line(k.kernel, String(k.calls), k.milliseconds)),
    ...(others.length > 0
      ? [line(`${others.length} other kernels`, String(sum(others, 'calls')), sum(others, 'milliseconds'))]
      : []),
    line('JavaScript', '', profile.elapsed - sum(profile.kernels, 'milliseconds')),
  ].join('\n');
}
