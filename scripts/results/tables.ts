/** The tables of docs/results.md that are made from results. */
import type { FinishedRun, Method, Pooled, PooledMetrics, Summary } from '../../src/eval';
import { HEADLINES, type ListedRun, nameOf } from './runs';

const BEGIN = '<!-- begin: made by `make results` -->';
const END = '<!-- end: made by `make results` -->';
const TITLES: Readonly<Record<Method, string>> = { 'sync-grpo': 'Sync-GRPO', corl: 'CoRL', 'mm-r1': 'MM-R1' };

/** The page with its tables made anew. @throws RangeError for a page without the marks */
export function withTables(
  page: string,
  summary: Summary,
  finished: readonly FinishedRun[],
  listed: readonly ListedRun[],
): string {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new RangeError(`docs/results.md has no place for tables: ${BEGIN} .. ${END}`);
  const methods = Object.keys(HEADLINES) as Method[];
  const sections = methods.map((method) => section(method, summary, finished, listed));
  return `${page.slice(0, from)}${BEGIN}\n\n${sections.join('\n\n')}\n\n${page.slice(to)}`;
}

function section(
  method: Method,
  summary: Summary,
  finished: readonly FinishedRun[],
  listed: readonly ListedRun[],
): string {
  const own = listed.filter((run) => run.method === method);
  const done = new Set(finished.map(({ result }) => nameOf(result)));
  const missing = own.filter((run) => !done.has(nameOf(run)));
  const found = summary[method];
  const parts = [`### ${TITLES[method]}`];
  if (found && Object.keys(found.headline).length > 0)
    parts.push(
      'Gain of the full method, of the control of equal time, and their difference:',
      table(
        ['metric', 'seeds', 'prompts', 'full', 'control', 'full - control', 'seed by seed'],
        [...rowsOf(found.headline, '**'), ...rowsOf(found.others, '')],
      ),
    );
  if (found && Object.keys(found.ablations).length > 0)
    parts.push(
      'Ablations: what they end with, beside the full method on the same seeds:',
      table(
        ['variant', 'metric', 'seeds', 'variant ends', 'full ends', 'variant - full'],
        Object.entries(found.ablations).flatMap(([variant, metrics]) =>
          Object.entries(metrics).map(([name, { seeds, after, afterFull, ci95 }]) => [
            variant,
            name,
            `${seeds}`,
            number(after),
            number(afterFull),
            difference(after - afterFull, ci95),
          ]),
        ),
      ),
    );
  if (missing.length > 0) parts.push(`Not run: ${missing.map((run) => `${run.variant} ${run.seed}`).join(', ')}.`);
  return parts.join('\n\n');
}

const rowsOf = (metrics: PooledMetrics, mark: string) =>
  Object.entries(metrics).map(([name, pooled]) => [`${mark}${name}${mark}`, ...cells(pooled)]);

const cells = ({ seeds, prompts, delta, deltaControl, ci95, perSeed }: Pooled): string[] => [
  `${seeds}`,
  `${prompts}`,
  signed(delta),
  signed(deltaControl),
  difference(delta - deltaControl, ci95),
  perSeed.map((one) => signed(one.delta - one.deltaControl)).join(' '),
];

const table = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

const number = (value: number) => value.toFixed(3);
const signed = (value: number) => `${value >= 0 ? '+' : ''}${value.toFixed(3)}`;
const difference = (value: number, [low, high]: readonly [number, number]) =>
  `${signed(value)} [${number(low)}, ${number(high)}]`;
