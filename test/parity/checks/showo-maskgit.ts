/** Show-o's MaskGIT steps with every random draw supplied. */
import * as path from 'node:path';
import { logSoftmax, tf } from '../../../src/engine';
import { type RawTensor, readSafetensors, toFloat32 } from '../../../src/io';
import { type MaskSchedule, maskCount, maskRatio, maskTemperature, remask } from '../../../src/models/showo/maskgit';
import { type Check, close, same } from './check';

interface Description {
  temperature0: number;
  grid: [number, number][];
  Ts: number[];
  mask_counts_cosine?: Record<string, number[]>;
  schedule_values?: Record<string, number[]>;
}

/** Schedules by the names that the sampler's code gives them. */
const schedules: Record<string, MaskSchedule> = {
  cosine: 'cosine',
  linear: 'linear',
  pow2: 'pow2',
  pow3: 'pow3',
  'pow0.5': 'sqrt',
  sigmoid: 'sigmoid',
};

export async function* parity(
  folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const d = description as unknown as Description;
  const inputs = await readSafetensors(path.join(folder, 'inputs.safetensors'));
  const expected = await readSafetensors(path.join(folder, 'expected.safetensors'));
  for (const [positions, codes] of d.grid) {
    for (const steps of d.Ts) yield* traceChecks(`N${positions}`, steps, codes, inputs, expected, d.temperature0);
  }
  const tables = Object.entries(d.mask_counts_cosine ?? {});
  const counts = tables.map(([name]) => {
    const [, positions, steps] = /^N(\d+)_T(\d+)$/.exec(name) as RegExpExecArray;
    return scheduleCounts(Number(positions), Number(steps));
  });
  if (tables.length > 0)
    yield same(
      `${tables.length} schedules`,
      'mask counts',
      counts.flat(),
      tables.flatMap(([, want]) => want),
    );
  const { t = [], ...values } = d.schedule_values ?? {};
  for (const [name, want] of Object.entries(values)) {
    const got = t.map((x) => (schedules[name] ? maskRatio(schedules[name], x) : NaN));
    yield close(`schedule ${name}`, 'value', got, want, 1e-6);
  }
}

interface Trace {
  sampled: number[];
  masking: number[];
  maskLen: number[];
  temperature: number[];
  confidence: number[];
  probability: number[];
  /** Positions in order of confidence, those unknown before the step alone. */
  order: number[][];
}

function* traceChecks(
  grid: string,
  steps: number,
  codes: number,
  inputs: Record<string, RawTensor>,
  expected: Record<string, RawTensor>,
  temperature0: number,
): Generator<Check> {
  const name = `${grid} T${steps}`;
  const want = (key: string): RawTensor | undefined => expected[`${grid}_T${steps}_${key}`];
  const numbers = (key: string): Float32Array => toFloat32(want(key) as RawTensor);
  const input = (key: string): Float32Array => toFloat32(inputs[`${key}_${grid}`]);
  const trace = run(input('logits'), input('noise_cat'), input('noise_mask'), codes, steps, temperature0);
  const n = input('noise_mask').length;
  yield same(name, 'sampled_ids', trace.sampled, numbers('sampled_ids'));
  yield same(name, 'masking', trace.masking, numbers('masking'));
  yield same(name, 'mask_len', trace.maskLen, numbers('mask_len'));
  yield close(name, 'temperature', trace.temperature, numbers('temperature'), 1e-6);
  yield close(name, 'confidence', trace.confidence, numbers('confidence'), 1e-5);
  yield same(name, 'final_ids', trace.sampled.slice(-n), numbers('final_ids'));
  if (want('selected_prob')) yield close(name, 'selected_prob', trace.probability, numbers('selected_prob'), 1e-5);
  if (want('confidence_order')) {
    const order = numbers('confidence_order');
    const first = trace.order.flatMap((own, s) => Array.from(order.slice(s * n, s * n + own.length)));
    yield same(name, 'confidence_order', trace.order.flat(), first);
  }
}

function run(
  logits: Float32Array,
  noiseCat: Float32Array,
  noiseMask: Float32Array,
  codes: number,
  steps: number,
  temperature0: number,
): Trace {
  const n = noiseMask.length;
  const trace: Trace = {
    sampled: [],
    masking: [],
    maskLen: [],
    temperature: [],
    confidence: [],
    probability: [],
    order: [],
  };
  const logProbs = tf.tidy(() => logSoftmax(tf.tensor2d(logits, [n, codes])).dataSync<'float32'>());
  // Row i of a rolled array is row (i - shift) mod n of the array.
  const row = (i: number, shift: number): number => (((i - shift) % n) + n) % n;
  let known = new Uint8Array(n);
  let ids = new Int32Array(n);
  let temperature = temperature0;
  for (let s = 0; s < steps; s++) {
    const unknown = n - known.reduce((sum, k) => sum + k, 0);
    const before = known;
    const chosen = ids.map((id, i) => (before[i] ? id : best(logProbs, noiseCat, row(i, 3 * s), row(i, 5 * s), codes)));
    const probability = Float32Array.from(chosen, (id, i) => Math.exp(logProbs[row(i, 3 * s) * codes + id]));
    temperature = maskTemperature(temperature0, temperature, s, steps, 'compound');
    const count = maskCount(unknown, n, s, steps, 'cosine');
    const noise = Float32Array.from({ length: n }, (_, i) => noiseMask[row(i, 7 * s)]);
    const { masked, confidence } = remask(probability, before, count, temperature, noise);
    trace.sampled.push(...chosen);
    trace.masking.push(...masked);
    trace.maskLen.push(count);
    trace.temperature.push(temperature);
    trace.confidence.push(...confidence);
    trace.probability.push(...probability.map((p, i) => (before[i] ? 2 : p)));
    trace.order.push([...confidence.keys()].sort((a, b) => confidence[a] - confidence[b] || a - b).slice(0, unknown));
    known = masked.map((m) => 1 - m);
    ids = chosen;
  }
  return trace;
}

/** The id with the largest log-probability plus noise: a multinomial draw by Gumbel's trick. */
function best(logProbs: Float32Array, noise: Float32Array, row: number, noiseRow: number, codes: number): number {
  let id = 0;
  let top = -Infinity;
  for (let k = 0; k < codes; k++) {
    const value = logProbs[row * codes + k] + noise[noiseRow * codes + k];
    if (value > top) [top, id] = [value, k];
  }
  return id;
}

function scheduleCounts(positions: number, steps: number): number[] {
  const counts: number[] = [];
  let unknown = positions;
  for (let s = 0; s < steps; s++) counts.push((unknown = maskCount(unknown, positions, s, steps, 'cosine')));
  return counts;
}
