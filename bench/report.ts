/** What a benchmark run found, as numbers and as lines for people. */
import { type KernelProfile, profileTable, type TraceReport } from '../src/engine';
import type { BenchModel, BenchSizes } from './sizes';

/** The timed works, in order. */
export const WORKS = ['train', 'masked64', 'masked256', 'codes64', 'codes256', 'replay', 'grpo'] as const;
export type Work = (typeof WORKS)[number];

export const WORK_TITLES: Readonly<Record<Work, string>> = {
  train: 'training step',
  masked64: 'rollout, masked, 64 codes',
  masked256: 'rollout, masked, 256 codes',
  codes64: 'rollout, code after code, 64',
  codes256: 'rollout, code after code, 256',
  replay: 'replay with gradient',
  grpo: 'whole GRPO step',
};

/** Who does the work, in order. `float32` is PyTorch without rounding, where the others round to bfloat16. */
export const SIDES = ['traced', 'eager', 'torch', 'compiled', 'float32'] as const;
export type Side = (typeof SIDES)[number];

export const SIDE_TITLES: Readonly<Record<Side, string>> = {
  traced: 'UniLab',
  eager: 'UniLab, untraced',
  torch: 'PyTorch',
  compiled: 'PyTorch, compiled',
  float32: 'PyTorch, float32',
};

/** One side's seconds, in the order they were measured. */
export interface Timing {
  readonly work: Work;
  readonly side: Side;
  readonly seconds: readonly number[];
  readonly median: number;
  /** Quartiles of the seconds. */
  readonly quartiles: readonly [low: number, high: number];
  /** Median of the processor time of all threads: steadier than the clock where other programs run. */
  readonly cpuMedian: number;
}

/** Both sides on the same numbers: they must agree before their times mean anything. */
export interface Agreement {
  readonly quantity: string;
  readonly unilab: number;
  readonly pytorch: number;
}

/** UniLab's median over that of PyTorch, eager or compiled, whichever is faster. */
export interface Ratio {
  readonly work: Work;
  readonly against: 'torch' | 'compiled';
  readonly ratio: number;
  readonly cpuRatio: number;
}

/** Where the time of one work goes, operation by operation. */
export type WorkProfile = Pick<KernelProfile<unknown>, 'elapsed' | 'kernels'>;

/** All of one size of model. */
export interface ModelReport {
  readonly model: BenchModel;
  readonly parameters: number;
  readonly sizes: BenchSizes;
  readonly timings: readonly Timing[];
  /** Empty without PyTorch. */
  readonly ratios: readonly Ratio[];
  readonly agreement: readonly Agreement[];
  /** Multiplications and additions in the products of a work, as PyTorch's program has it; without PyTorch none. */
  readonly operations: Readonly<Partial<Record<Work, number>>>;
  /** What was traced and compiled, and the most memory that UniLab's process took, bytes. */
  readonly compiled: readonly TraceReport[];
  readonly peakBytes: number;
  readonly profile: Readonly<Partial<Record<Work, WorkProfile>>>;
}

export interface BenchReport {
  /** What was typed. */
  readonly command: string;
  /** Of weights and inputs. */
  readonly seed: number;
  readonly date: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly precision: 'bf16' | 'float32';
  /** Of 2048 x 2048 matrix products, GFLOP/s. */
  readonly ceiling: Readonly<Partial<Record<'unilab' | 'pytorch', number>>>;
  readonly models: readonly ModelReport[];
  /** Why PyTorch was not measured, when it was not. */
  readonly pytorchSkipped?: string;
}

/** The value below which a share of the others lies, between two of them if need be. @throws RangeError for none */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('a quantile of nothing');
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (at - Math.floor(at)) * (high - low);
}

/** The middle value, or the mean of the two middle ones. @throws RangeError for none */
export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** UniLab's time over PyTorch's best, for every work that both did. */
export function ratiosOf(timings: readonly Timing[]): Ratio[] {
  return timings.flatMap(({ work, side, median: ours, cpuMedian }) => {
    if (side !== 'traced') return [];
    const others = timings.filter((t) => t.work === work && (t.side === 'torch' || t.side === 'compiled'));
    if (others.length === 0) return [];
    const best = others.reduce((a, b) => (b.median < a.median ? b : a));
    const against = best.side as Ratio['against'];
    return [{ work, against, ratio: ours / best.median, cpuRatio: cpuMedian / best.cpuMedian }];
  });
}

/** The report as lines. @param kernels how many kernels of each profile to list */
export function formatReport(report: BenchReport, kernels = 8): string {
  const { machine, versions, ceiling, precision } = report;
  const lines = [listed(machine), listed(versions), report.command];
  const ceilings = Object.entries(ceiling).map(([name, value]) => `${name} ${value.toFixed(0)} GFLOP/s`);
  lines.push(`products of 2048 x 2048 in ${precision}: ${ceilings.join(', ')}`);
  if (report.pytorchSkipped) lines.push(`PyTorch was skipped: ${report.pytorchSkipped}`);
  for (const model of report.models) lines.push('', ...modelLines(model, report, kernels));
  return lines.join('\n');
}

function modelLines(model: ModelReport, report: BenchReport, kernels: number): string[] {
  const sides = SIDES.filter((side) => model.timings.some((timing) => timing.side === side));
  const lines = [`${model.parameters.toLocaleString('en-US')} parameters; ${listed({ ...model.sizes })}`];
  lines.push(
    row(['seconds, medians', ...sides.map((side) => SIDE_TITLES[side]), 'of PyTorch’s best', 'at the ceiling']),
  );
  for (const work of WORKS) {
    const cells = sides.map((side) => cell(model.timings.find((t) => t.work === work && t.side === side)));
    if (cells.every((text) => text === '-')) continue;
    const found = model.ratios.find((ratio) => ratio.work === work);
    const floor = floorOf(model, report, work);
    lines.push(
      row([WORK_TITLES[work], ...cells, found ? found.ratio.toFixed(2) : '-', floor ? floor.toFixed(3) : '-']),
    );
  }
  for (const { quantity, unilab, pytorch } of model.agreement) {
    const apart = Math.abs(unilab - pytorch).toExponential(1);
    const [ours, theirs] = [unilab, pytorch].map((value) => value.toPrecision(7));
    lines.push(`${quantity} on the same weights: UniLab ${ours}, PyTorch ${theirs} (${apart} apart)`);
  }
  for (const { name, programs, calls, eager } of model.compiled) {
    const seconds = programs.reduce((sum, program) => sum + program.seconds, 0);
    const times = programs.reduce((sum, program) => sum + program.compilations, 0);
    lines.push(`compiled '${name}': ${times} times in ${seconds.toFixed(1)} s; ${eager} of ${calls} calls untraced`);
  }
  for (const work of WORKS) {
    const profile = model.profile[work];
    if (!profile) continue;
    lines.push(`where the time of '${WORK_TITLES[work]}' goes, untraced: ${(profile.elapsed / 1000).toFixed(3)} s`);
    lines.push(profileTable({ ...profile, value: undefined }, kernels));
  }
  return lines;
}

/** Seconds that the products of a work take at the ceiling, of the faster of both libraries. */
export function floorOf(model: ModelReport, { ceiling }: BenchReport, work: Work): number | undefined {
  const operations = model.operations[work];
  const best = Math.max(...Object.values(ceiling));
  return operations === undefined ? undefined : operations / (best * 1e9);
}

const listed = (values: Readonly<Record<string, string | number>>): string =>
  Object.entries(values)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ');

function cell(timing: Timing | undefined): string {
  if (!timing) return '-';
  const [low, high] = timing.quartiles;
  return `${timing.median.toFixed(3)} (${low.toFixed(2)}-${high.toFixed(2)})`;
}

const row = ([first, ...rest]: readonly string[]): string =>
  (first.padEnd(30) + rest.map((text) => text.padEnd(21)).join('')).trimEnd();
