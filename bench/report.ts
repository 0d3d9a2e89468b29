/** What a benchmark run found, as numbers and as lines for people. */
import { type KernelProfile, profileTable } from '../src/engine';

/** The timed works, in order. */
export const WORKS = ['train', 'rollout', 'replay', 'grpo'] as const;
export type Work = (typeof WORKS)[number];

/** One side's seconds, in the order they were measured. */
export interface Timing {
  readonly work: Work;
  readonly side: 'unilab' | 'pytorch';
  readonly precision: 'bf16' | 'float32';
  readonly seconds: readonly number[];
  readonly median: number;
  /** Median of the processor time of all threads: steadier than the clock where other programs run. */
  readonly cpuMedian: number;
}

/** Both sides on the same numbers: they must agree before their times mean anything. */
export interface Agreement {
  readonly quantity: string;
  readonly precision: 'bf16' | 'float32';
  readonly unilab: number;
  readonly pytorch: number;
}

/** Where the time of one work goes. */
export type WorkProfile = Pick<KernelProfile<unknown>, 'elapsed' | 'kernels'>;

export interface BenchReport {
  readonly machine: Readonly<Record<string, string | number>>;
  readonly sizes: Readonly<Record<string, number>>;
  readonly repeats: number;
  readonly timings: readonly Timing[];
  /** UniLab's median over PyTorch's; empty without PyTorch. */
  readonly ratios: readonly {
    readonly work: Work;
    readonly precision: 'bf16' | 'float32';
    readonly ratio: number;
    readonly cpuRatio: number;
  }[];
  readonly agreement: readonly Agreement[];
  /** Where UniLab's time goes, by work. */
  readonly profile: Readonly<Partial<Record<Work, WorkProfile>>>;
  /** Why PyTorch was not measured, when it was not. */
  readonly pytorchSkipped?: string;
}

/** The middle value, or the mean of the two middle ones. @throws RangeError for none */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the median of nothing');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** UniLab's time over PyTorch's, for every work and precision that both did. */
export function ratiosOf(timings: readonly Timing[]): BenchReport['ratios'] {
  return timings.flatMap(({ work, side, precision, median: ours, cpuMedian }) => {
    if (side !== 'unilab') return [];
    const other = timings.find((t) => t.side === 'pytorch' && t.work === work && t.precision === precision);
    return other ? [{ work, precision, ratio: ours / other.median, cpuRatio: cpuMedian / other.cpuMedian }] : [];
  });
}

const TITLES: Readonly<Record<Work, string>> = {
  train: 'training step',
  rollout: 'guided rollout',
  replay: 'replay with gradient',
  grpo: 'GRPO step',
};

/** The report as lines. @param kernels how many kernels of each profile to list */
export function formatReport(report: BenchReport, kernels = 10): string {
  const listed = (values: BenchReport['machine']) => {
    const parts = Object.entries(values).map(([key, value]) => `${key} ${value}`);
    return parts.join(', ');
  };
  const lines = [listed(report.machine), listed(report.sizes)];
  lines.push('', `medians of ${report.repeats} interleaved runs, seconds`);
  lines.push(row(['work', 'precision', 'UniLab', 'PyTorch', 'UniLab / PyTorch', 'in processor time']));
  for (const work of WORKS) {
    for (const precision of ['bf16', 'float32'] as const) {
      const of = (side: Timing['side']) =>
        report.timings.find((t) => t.work === work && t.side === side && t.precision === precision);
      const [ours, theirs] = [of('unilab'), of('pytorch')];
      if (!ours && !theirs) continue;
      const found = report.ratios.find((r) => r.work === work && r.precision === precision);
      const ratios = found ? [found.ratio.toFixed(2), found.cpuRatio.toFixed(2)] : ['-', '-'];
      lines.push(row([TITLES[work], precision, seconds(ours), seconds(theirs), ...ratios]));
    }
  }
  if (report.pytorchSkipped) lines.push(`PyTorch was skipped: ${report.pytorchSkipped}`);
  for (const { quantity, precision, unilab, pytorch } of report.agreement) {
    const apart = Math.abs(unilab - pytorch).toExponential(1);
    const [ours, theirs] = [unilab, pytorch].map((value) => value.toPrecision(7));
    lines.push(`${quantity} on the same weights, ${precision}: UniLab ${ours}, PyTorch ${theirs} (${apart} apart)`);
  }
  for (const work of WORKS) {
    const profile = report.profile[work];
    if (!profile) continue;
    lines.push('', `where the time of a ${TITLES[work]} goes (UniLab, ${(profile.elapsed / 1000).toFixed(3)} s)`);
    lines.push(profileTable({ ...profile, value: undefined }, kernels));
  }
  return lines.join('\n');
}

function seconds(timing: Timing | undefined): string {
  return timing ? timing.median.toFixed(3) : '-';
}

const WIDTHS = [22, 11, 10, 10, 18, 0];

function row(cells: readonly string[]): string {
  const padded = cells.map((cell, i) => cell.padEnd(WIDTHS[i]));
  return padded.join('').trimEnd();
}
