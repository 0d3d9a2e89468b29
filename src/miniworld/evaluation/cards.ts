/** What every model card has: tables of metrics, times, licences of the images. */
import type { EvalReport } from './metrics';

/** Markdown table of metrics with their intervals, percent. */
export function metricTable(report: EvalReport, keep: (name: string) => boolean = () => true): string {
  const percent = (v: number) => `${(100 * v).toFixed(1)}`;
  const rows = Object.entries(report.metrics)
    .filter(([name]) => keep(name))
    .map(
      ([name, { value, ci95, n }]) =>
        `| ${name} | ${percent(value)} | ${percent(ci95[0])} to ${percent(ci95[1])} | ${n} |`,
    );
  return ['| metric | % | 95% interval | n |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/** "7 minutes", "1.4 hours". */
export function spent(seconds: number): string {
  return seconds < 5400 ? `${Math.round(seconds / 60)} minutes` : `${(seconds / 3600).toFixed(1)} hours`;
}

/** Where the images come from. */
export const IMAGE_LICENSES = `The training images are rendered, never stored: pictograms from Noto Emoji (Apache-2.0), Fluent Emoji (MIT),
OpenMoji (CC-BY-SA-4.0) and Twemoji (CC-BY-4.0), people from DiceBear's Avataaars (by Pablo Stanley, free for personal
and commercial use). The weights hold no image; they are under this repository's licence (MIT).`;
