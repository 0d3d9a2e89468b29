/** A mini benchmark on a checkpoint's folder, as `unilab eval mini-...` reports it. */
import { Rng } from '../../engine';
import type { ImageOptions } from '../../models/unified';
import { benchmarkMetrics, type BenchmarkOptions, MINI_BENCHMARKS } from '../benchmarks';
import { loadThinking } from '../corl';
import type { EvalReport } from './metrics';
import { MINI_MODELS } from './mini-models';

/** How images of a checkpoint are sampled unless the command says otherwise: as of the mini model of its backbone. */
export function samplerOf(modelType: string): ImageOptions {
  const mini = Object.values(MINI_MODELS).find(({ name }) => name === modelType);
  if (!mini) throw new Error(`there are no sampler settings for ${modelType}`);
  const { steps, guidanceScale, temperature } = mini.sampler;
  return { guidanceScale, temperature, ...(steps === undefined ? {} : { steps }) };
}

/**
 * Distinct prompts, draws and metrics with intervals, clustered by prompt.
 * @param name of {@link MINI_BENCHMARKS}
 * @param folder a mini checkpoint; one that lacks the words of thinking and choosing gets them, untrained
 */
export async function evaluateBenchmark(
  name: string,
  folder: string,
  seed: number,
  options: BenchmarkOptions = {},
): Promise<Pick<EvalReport, 'metrics'>> {
  const benchmark = MINI_BENCHMARKS[name];
  const model = await loadThinking(folder);
  try {
    const image = { ...samplerOf(model.modelType), ...options.image };
    const rng = new Rng(seed).split(`eval ${name}`);
    const { items } = await benchmark.evaluate(model, rng, { ...options, image });
    return { metrics: benchmarkMetrics(benchmark, items, rng.split('intervals')) };
  } finally {
    model.dispose();
  }
}
