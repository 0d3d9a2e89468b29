/** The `tensorflow` engine: @tensorflow/tfjs-node-gpu linked with a current TensorFlow (`make engine`). */
import * as tf from '@tensorflow/tfjs';
import util from 'node:util';
import { EngineError, type EngineReport, type Precision } from './report';

/** @throws EngineError when the binding is not linked */
export async function startTensorflow(precision: Precision, _forced = false): Promise<EngineReport> {
  // oneDNN reads this once, when the library loads.
  process.env.ONEDNN_DEFAULT_FPMATH_MODE = precision === 'bf16' ? 'BF16' : 'STRICT';
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
  // tfjs-node 4.22 calls a function that Node 23 removed.
  const legacy = util as unknown as { isNullOrUndefined?: (value: unknown) => boolean };
  legacy.isNullOrUndefined ??= (value) => value === null || value === undefined;
  let node: { version: { 'tensorflow'?: string } };
  try {
    node = require('@tensorflow/tfjs-node-gpu') as typeof node;
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new EngineError(`the tensorflow engine is not linked: ${why}`, 'run `make engine`');
  }
  tf.setBackend('tensorflow');
  await tf.ready();
  return { engine: 'tensorflow', device: 'cpu', precision, library: String(node.version.tensorflow ?? 'unknown'), tfjs: tf.version_core };
}
