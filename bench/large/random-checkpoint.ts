/** A checkpoint of a published size with random weights: for measuring what loading and running it costs. */
import path from 'node:path';
import { Rng } from '../../src/engine';
import { toBfloat16Bits, type WritableTensor, writeSafetensors } from '../../src/io';
import { type Initial, type Module, namedParameters } from '../../src/nn/module';

/**
 * Writes a file of weights in bf16, one tensor in memory at a time. Weights are uniform with the declared standard
 * deviation: drawn many times as fast as normal ones, and as good for measuring.
 * @param net whose parameters; tied ones are written once
 * @param file its name in the folder
 * @returns number of scalars, and bytes written for them
 */
export async function writeRandomCheckpoint(
  folder: string,
  net: Module,
  seed: number,
  file = 'model.safetensors',
): Promise<{ parameters: number; bytes: number }> {
  const rng = new Rng(seed);
  let parameters = 0;
  const tensors: Record<string, WritableTensor> = {};
  for (const [name, { shape, initial }] of namedParameters(net).own) {
    const size = shape.reduce((a, b) => a * b, 1);
    parameters += size;
    tensors[name] = { dtype: 'BF16', shape, data: () => randomValues(size, initial, rng.split(name)) };
  }
  await writeSafetensors(path.join(folder, file), tensors);
  return { parameters, bytes: 2 * parameters };
}

/** Values of a uniform variable of standard deviation 1, as bf16 rounds them: two of them to a 32-bit draw. */
const LEVELS = 65536;

function randomValues(size: number, initial: Initial, rng: Rng): Uint16Array {
  const out = new Uint16Array(size);
  if ('constant' in initial) return out.fill(toBfloat16Bits(initial.constant));
  const table = Uint16Array.from({ length: LEVELS }, (_, i) =>
    toBfloat16Bits(((i + 0.5) / LEVELS - 0.5) * Math.sqrt(12) * initial.normal),
  );
  for (let i = 0; i < size; i += 2) {
    const draw = rng.uniform() * LEVELS; // 16 bits before the point, 16 behind it
    const first = Math.floor(draw);
    out[i] = table[first];
    if (i + 1 < size) out[i + 1] = table[(draw - first) * LEVELS];
  }
  return out;
}
