/**
 * Starting tf.js's engine. Everything numeric in UniLab goes through `tf.*`; this is the one place that decides
 * what stands behind it, and that sets what must be set before a native library loads.
 */
import * as tf from '@tensorflow/tfjs';
import { EngineError, type EngineName, type EngineOptions, type EngineReport } from './report';
import { startTensorflow } from './start-tensorflow';
import { startWasm } from './start-wasm';
import { startWebgpu } from './start-webgpu';

let running: EngineReport | undefined;

/**
 * Starts the best engine that this machine has (`tensorflow`, then `webgpu` with a real GPU, then `wasm`), or the
 * one that `options.engine` or `UNILAB_ENGINE` names. Later calls return the first one's report.
 * @throws EngineError when a forced engine cannot start, with the reason and the mend
 */
export async function startEngine(options: EngineOptions = {}): Promise<EngineReport> {
  if (running) return running;
  const forced = options.engine ?? forcedByEnvironment();
  const precision = options.precision ?? (process.env.UNILAB_PRECISION === 'float32' ? 'float32' : 'bf16');
  const mixed = options.mixedPrecision ?? process.env.UNILAB_MIXED_PRECISION === '1';
  if (mixed && forced && forced !== 'tensorflow')
    throw new EngineError(
      `mixed precision is the tensorflow engine's, not ${forced}'s`,
      'unset UNILAB_MIXED_PRECISION',
    );
  const order: readonly EngineName[] = forced ? [forced] : ['tensorflow', 'webgpu', 'wasm'];
  const reasons: string[] = [];
  for (const name of order) {
    try {
      running = { ...(await starters[name]({ precision, mixed }, forced !== undefined)), passedOver: reasons };
      if (reasons.length > 0 && !options.quiet)
        console.error(`unilab: ${reasons.join('; ')}; the ${name} engine takes over.`);
      if (running.flavor === 'cuda' && running.device === 'cpu' && !options.quiet)
        console.error('unilab: TensorFlow is linked for CUDA, but no NVIDIA GPU answers: it runs on the CPU.');
      return running;
    } catch (error) {
      if (forced || mixed) throw error;
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new EngineError(
    `no engine could be started: ${reasons.join('; ')}`,
    'run `bin/unilab doctor` to see what is missing',
  );
}

/** The engine that was started; undefined before. */
export function runningEngine(): EngineReport | undefined {
  return running;
}

const starters = { tensorflow: startTensorflow, webgpu: startWebgpu, wasm: startWasm };

function forcedByEnvironment(): EngineName | undefined {
  const name = process.env.UNILAB_ENGINE;
  if (!name) return undefined;
  if (name === 'tensorflow' || name === 'webgpu' || name === 'wasm') return name;
  throw new EngineError(`UNILAB_ENGINE is '${name}'`, 'set it to tensorflow, webgpu or wasm, or unset it');
}

export { tf };
