/** What a benchmark run found, as numbers and as lines for people. */

/** The timed works, in order. */
export const WORKS = ['train', 'rollout', 'replay'] as const;
export type Work = (typeof WORKS)[number];

/** One side's seconds, in the order they were measured. */
export interface Timing {
  readonly work: Work;
  readonly side: 'unilab' | 'pytorch';
  readonly precision: 'bf16' | 'float32';
  readonly seconds: readonly number[];
  readonly median: number;
}

/** Both sides on the same numbers: they must agree before their times mean anything. */
export interface Agreement {
  readonly quantity: string;
  readonly precision: 'bf16' | 'float32';
  readonly unilab: number;
  readonly pytorch: number;
}

/** Time of one kernel in one work. */
export interface KernelShare {
  readonly kernel: string;
  readonly calls: number;
  readonly seconds: number;
}

export interface BenchReport {
  readonly machine: Readonly<Record<string, string | number>>;
  readonly sizes: Readonly<Record<string, number>>;
  readonly repeats: number;
  readonly timings: readonly Timing[];
  /** UniLab's median over PyTorch's; empty without PyTorch. */
  readonly ratios: readonly { readonly work: Work; readonly precision: 'bf16' | 'float32'; readonly ratio: number }[];
  readonly agreement: readonly Agreement[];
  /** Where UniLab's time goes, by work. */
  readonly profile: Readonly<Partial<Record<Work, readonly KernelShare[]>>>;
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
  return timings.flatMap(({ work, side, precision, median: ours }) => {
    if (side !== 'unilab') return [];
    const other = timings.find((t) => t.side === 'pytorch' && t.work === work && t.precision === precision);
    return other ? [{ work, precision, ratio: ours / other.median }] : [];
  });
}

const TITLES: Readonly<Record<Work, string>> = {
  train: 'training step',
  rollout: 'guided rollout',
  replay: 'replay with gradient',
};

/** The report as lines. @param kernels how many kernels of each profile to list */
export function formatReport(report: BenchReport, kernels = 10): string {
  const lines = [Object.entries(report.machine).map(([key, value]) => `${key} ${value}`).join(', ')]; // prettier-ignore
  lines.push(Object.entries(report.sizes).map(([key, value]) => `${key} ${value}`).join(', ')); // prettier-ignore
  lines.push('', `medians of ${report.repeats} interleaved runs, seconds`);
  lines.push(row(['work', 'precision', 'UniLab', 'PyTorch', 'UniLab / PyTorch']));
  for (const work of WORKS) {
    for (const precision of ['bf16', 'float32'] as const) {
      const of = (side: Timing['side']) => report.timings.find((t) => t.work === work && t.side === side && t.precision === precision);
      const [ours, theirs] = [of('unilab'), of('pytorch')];
      if (!ours && !theirs) continue;
      const ratio = report.ratios.find((r) => r.work === work && r.precision === precision)?.ratio;
      lines.push(row([TITLES[work], precision, seconds(ours), seconds(theirs), ratio === undefined ? '-' : ratio.toFixed(2)]));
    }
  }
  if (report.pytorchSkipped) lines.push(`PyTorch was skipped: ${report.pytorchSkipped}`);
  for (const { quantity, precision, unilab, pytorch } of report.agreement) {
    const apart = Math.abs(unilab - pytorch).toExponential(1);
    lines.push(`${quantity} on the same weights, ${precision}: UniLab ${unilab.toFixed(6)}, PyTorch ${pytorch.toFixed(6)} (${apart} apart)`);
  }
  for (const work of WORKS) {
    const shares = report.profile[work];
    if (!shares) continue;
    const total = shares.reduce((sum, share) => sum + share.seconds, 0);
    lines.push('', `where the time of a ${TITLES[work]} goes (UniLab, ${total.toFixed(3)} s in kernels)`);
    for (const { kernel, calls, seconds: spent } of shares.slice(0, kernels)) {
      lines.push(`  ${kernel.padEnd(28)} ${spent.toFixed(3)} s  ${((100 * spent) / total).toFixed(1).padStart(5)} %  ${calls} calls`);
    }
  }
  return lines.join('\n');
}

function seconds(timing: Timing | undefined): string {
  return timing ? timing.median.toFixed(3) : '-';
}

function row(cells: readonly string[]): string {
  return cells.map((cell, i) => cell.padEnd([22, 11, 10, 10, 0][i])).join('').trimEnd(); // prettier-ignore
}
