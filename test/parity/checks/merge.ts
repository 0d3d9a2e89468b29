/** The Gaussian merge: merged weights with both standard deviations, and the statistics of each tensor. */
import * as path from 'node:path';
import { type MergeStatistics, mergeModels } from '../../../src/eval';
import { readSafetensors, toFloat32 } from '../../../src/io';
import { type Check, close, same } from './check';

interface Stats {
  mu: number;
  sigma: number;
  mu_each: number[];
  sigma_each: number[];
  low: number;
  high: number;
  outliers: number[];
}

export async function* parity(
  folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const { lambda_: lambda, stats } = description as unknown as { lambda_: number; stats: Record<string, Stats> };
  const read = async (name: string): Promise<Record<string, Float32Array>> => {
    const tensors = await readSafetensors(path.join(folder, `${name}.safetensors`));
    return Object.fromEntries(Object.entries(tensors).map(([key, tensor]) => [key, toFloat32(tensor)]));
  };
  const [base, a, b] = [await read('base'), await read('model_a'), await read('model_b')];
  for (const [file, population] of [
    ['expected', false],
    ['expected_population_std', true],
  ] as const) {
    const expected = await read(file);
    const { merged, statistics } = mergeModels(base, [a, b], { lambda, population });
    yield same(file, 'names', Object.keys(merged).sort(), Object.keys(expected).sort());
    for (const [name, values] of Object.entries(expected))
      yield close(`${file} ${name}`, 'weights', merged[name], values, 1e-6);
    if (population) continue;
    for (const [name, s] of Object.entries(stats)) {
      yield close(
        `statistics ${name}`,
        'mu, sigma, interval',
        ours(statistics[name]),
        [s.mu, s.sigma, s.low, s.high, ...s.mu_each, ...s.sigma_each],
        1e-6,
      );
      yield same(`statistics ${name}`, 'outliers', statistics[name].outliers, s.outliers);
    }
  }
}

function ours(s: MergeStatistics): number[] {
  return [s.mu, s.sigma, s.low, s.high, ...s.muEach, ...s.sigmaEach];
}
