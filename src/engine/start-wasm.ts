/** The `wasm` engine: npm alone is enough. One thread with SIMD; slower, but everything works. */
import * as tf from '@tensorflow/tfjs';
import path from 'node:path';
import { EngineError, type EngineReport, type StartOptions } from './report';
import { guardHeap, type WasmBackend } from './wasm-backend';
import { registerWasmKernels } from './wasm-kernels';

/**
 * Always computes in float32: the wasm engine has no bfloat16, and `bf16` only allows it.
 * @throws EngineError when the package is missing or the module does not load
 */
export async function startWasm(_options: StartOptions, _forced = false): Promise<EngineReport> {
  try {
    const wasm = require('@tensorflow/tfjs-backend-wasm') as typeof import('@tensorflow/tfjs-backend-wasm');
    const folder = path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'));
    wasm.setWasmPaths(path.join(folder, 'wasm-out') + path.sep);
    if (!(await tf.setBackend('wasm'))) throw new Error('tf.js refused it');
    await tf.ready();
    registerWasmKernels(); // after the engine set its own kernels up: ours lean on them
    guardHeap(tf.backend() as unknown as WasmBackend);
    const device = (await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')) ? 'cpu, SIMD' : 'cpu';
    return { engine: 'wasm', device, precision: 'float32', library: wasm.version_wasm, tfjs: tf.version_core };
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new EngineError(`the wasm engine does not start: ${why}`, 'run `npm ci`');
  }
}
