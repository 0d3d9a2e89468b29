/**
 * Autoregressive decoding by itself, at the size of Janus mini with random weights: what a code costs when an image has
 * 64 of them and when it has 1,024, what a step costs with more rows, and what tracing the step saves.
 */
import { type Precision, Rng, startEngine, withoutTracing } from '../src/engine';
import { janusMini } from '../src/miniworld/curricula/janus-config';
import { miniText } from '../src/miniworld/curricula/scenes';
import { type GenerationPrompt, generationIds } from '../src/models/janus/layout';
import { JanusNetwork } from '../src/models/janus/network';
import { JanusImageSampler } from '../src/models/janus/sampler';

/** Milliseconds of one step. */
export interface StepTime {
  /** Codes of an image; the mean over all of them. */
  readonly codes: number;
  readonly images: number;
  readonly traced: number;
  /** Operation by operation. */
  readonly eager: number;
}

export interface DecodingReport {
  readonly engine: string;
  readonly precision: Precision;
  readonly rows: readonly StepTime[];
  /** Of a code of the longest image to one of the shortest. */
  readonly growth: number;
}

/** Codes a side, and images: longer ones at the same number, then more of the short ones. */
const WORKS = [
  { side: 8, images: 4 },
  { side: 16, images: 4 },
  { side: 32, images: 4 },
  { side: 8, images: 8 },
  { side: 8, images: 16 },
  { side: 8, images: 32 },
] as const;

const GUIDANCE = 5;
const PROMPT = [20, 21, 22, 23, 24, 25, 26, 27, 28, 29];

/** @param repeats runs of each; medians are told */
export async function benchDecoding(precision: Precision, repeats: number): Promise<DecodingReport> {
  const report = await startEngine({ precision, quiet: true });
  const rows: StepTime[] = [];
  for (const { side, images } of WORKS) {
    const network = networkFor(side);
    const times = { traced: [] as number[], eager: [] as number[] };
    // Recorded at the first step, compiled at the second.
    stepsOf(network, images, 3);
    for (let run = 0; run < repeats; run++) {
      times.traced.push(stepsOf(network, images, side * side));
      times.eager.push(await withoutTracing(() => stepsOf(network, images, side * side)));
    }
    rows.push({ codes: side * side, images, traced: median(times.traced), eager: median(times.eager) });
    network.dispose();
  }
  const at = (codes: number) => rows.find((row) => row.codes === codes)?.traced ?? NaN;
  return { engine: `${report.engine} ${report.library}`, precision, rows, growth: at(1024) / at(64) };
}

export function formatDecoding({ engine, precision, rows, growth }: DecodingReport): string {
  return [
    `guided decoding, Janus mini, ${engine}, ${precision}: ms a step`,
    ' codes  images   traced    eager  traced / eager',
    ...rows.map(({ codes, images, traced, eager }) => {
      const cells = [String(codes).padStart(6), String(images).padStart(7)];
      const times = [traced, eager].map((time) => time.toFixed(2).padStart(8));
      return `${[...cells, ...times].join(' ')} ${(traced / eager).toFixed(2).padStart(15)}`;
    }),
    `a code of 1,024 costs ${growth.toFixed(2)} times one of 64`,
  ].join('\n');
}

function networkFor(side: number): JanusNetwork {
  const { text, bos, eos, pad } = { ...miniText(), pad: 0 };
  const mini = janusMini(text.vocabularySize, { bos, eos, pad });
  const config = {
    ...mini,
    text: { ...mini.text, max_position_embeddings: side * side + 64 },
    vq: { ...mini.vq, num_patches: side },
  };
  return JanusNetwork.random(config, new Rng(1));
}

/** @returns milliseconds of a step, the prompt's reading left out */
function stepsOf(network: JanusNetwork, images: number, count: number): number {
  const prompt: GenerationPrompt = { task: 'generate', ids: generationIds(network.config, PROMPT) };
  const requests = Array.from({ length: images }, (_, i) => ({ prompt, rng: new Rng(2).split(i) }));
  const sampler = JanusImageSampler.start(network, requests, { guidanceScale: GUIDANCE });
  try {
    sampler.step();
    const start = performance.now();
    for (let step = 1; step < count; step++) sampler.step();
    return (performance.now() - start) / (count - 1);
  } finally {
    sampler.dispose();
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}
