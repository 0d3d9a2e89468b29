/** The `tensorflow` engine: @tensorflow/tfjs-node-gpu linked with a current TensorFlow (`make engine`). */
import * as tf from '@tensorflow/tfjs';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import util from 'node:util';
import { needsBf16Casts, useBf16Products, useOwnProducts } from './bf16-products';
import { functionBackend } from './functions/binding';
import { tracingWorks, useMixedPrecision } from './functions';
import { useOwnLinear } from './ops/layers';
import { useProjectedAttention } from './ops/projected-attention';
import { setOwnKernels } from './ops/kernel';
import { EngineError, type EngineReport, type Precision, type StartOptions } from './report';
import { useTraceableKernels } from './tensorflow-kernels';

/** What is used of the binding's backend. */
interface NodeBackend {
  readonly isUsingGpuDevice: boolean;
  readonly binding: { readonly TF_Version: string };
}

/** @throws EngineError when the binding is not linked */
export async function startTensorflow({ precision, mixed }: StartOptions, _forced = false): Promise<EngineReport> {
  // oneDNN reads this once, when the library loads.
  process.env.ONEDNN_DEFAULT_FPMATH_MODE = precision === 'bf16' ? 'BF16' : 'STRICT';
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
  // tfjs-node 4.22 calls a function that Node 23 removed.
  const legacy = util as unknown as { isNullOrUndefined?: (value: unknown) => boolean };
  legacy.isNullOrUndefined ??= (value) => value === null || value === undefined;
  try {
    quietly(() => require('@tensorflow/tfjs-node-gpu') as unknown);
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new EngineError(`the tensorflow engine is not linked: ${why}`, 'run `make engine`');
  }
  await tf.setBackend('tensorflow');
  await tf.ready();
  const backend = tf.backend() as unknown as NodeBackend;
  const device = backend.isUsingGpuDevice ? 'gpu' : 'cpu';
  const ownKernels = device === 'cpu' ? loadOwnKernels() : undefined;
  setOwnKernels(ownKernels);
  if (device === 'cpu') useTraceableKernels();
  if (mixed) startMixedPrecision(precision, device);
  else if (precision === 'bf16' && device === 'cpu') {
    if (needsBf16Casts()) useBf16Products();
    else {
      useOwnProducts();
      useOwnLinear();
      useProjectedAttention();
    }
  }
  return {
    engine: 'tensorflow',
    device,
    precision,
    library: backend.binding.TF_Version,
    tfjs: tf.version_core,
    ownKernels: ownKernels !== undefined,
    traced: tracingWorks(),
    flavor: linkedFlavor(),
    mixedPrecision: mixed,
  };
}

/** @throws EngineError where there is no such thing */
function startMixedPrecision(precision: Precision, device: string): void {
  const backend = functionBackend();
  if (device !== 'cpu' || precision !== 'bf16' || process.env.UNILAB_TRACE === '0')
    throw new EngineError(
      'mixed precision is for traced functions on a CPU, with products in bfloat16',
      'unset UNILAB_MIXED_PRECISION',
    );
  if (!backend?.binding.acceptsBytes)
    throw new EngineError('mixed precision needs the binding of this version', 'run `make engine`');
  useMixedPrecision(true);
}

/** What set-up noted of the libraries. */
function linkedFlavor(): 'cpu' | 'cuda' | undefined {
  try {
    const { store } = JSON.parse(readFileSync(besideBinding('unilab.json'), 'utf8')) as { store: string };
    return /-(cpu|cuda)-/.exec(path.basename(store))?.[1] as 'cpu' | 'cuda' | undefined;
  } catch {
    return undefined; // linked by hand
  }
}

/**
 * Loads UniLab's own kernels where `make engine` could compile them. `UNILAB_NATIVE=0` leaves them out.
 * @returns their names; undefined: there are none
 */
function loadOwnKernels(): readonly string[] | undefined {
  if (process.env.UNILAB_NATIVE === '0') return undefined;
  // Read when OpenMP's library loads: waiting threads must not keep TensorFlow's from the processor.
  process.env.OMP_WAIT_POLICY ??= 'passive';
  try {
    const { operations = [] } = addon('unilab_ops.node') as { operations?: readonly string[] };
    return operations;
  } catch {
    return undefined;
  }
}

/** An addon that `make engine` put beside the binding. @throws when it is not there */
function addon(name: string): unknown {
  return createRequire(__filename)(besideBinding(name)) as unknown;
}

function besideBinding(name: string): string {
  const folder = path.dirname(require.resolve('@tensorflow/tfjs-node-gpu/package.json'));
  return path.join(folder, 'lib', 'napi-v8', name);
}

/**
 * Runs `load` with stderr closed at the level of the process, where TensorFlow writes while it loads. The addon comes
 * with `make engine`; without it, or with UNILAB_DEBUG set, nothing is closed.
 */
function quietly<T>(load: () => T): T {
  let stderr: { mute(): void; unmute(): void } | undefined;
  if (!process.env.UNILAB_DEBUG) {
    try {
      stderr = addon('unilab_quiet.node') as typeof stderr;
    } catch {
      stderr = undefined;
    }
  }
  stderr?.mute();
  try {
    return load();
  } finally {
    stderr?.unmute();
  }
}
