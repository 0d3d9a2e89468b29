/**
 * `make results`: works through the list of runs, one by one. Killed at any moment, the same command goes on where it
 * was. Every run leaves `data/results/NAME.json`; `summary.json` and the tables in docs/results.md follow.
 *
 *   node --require ts-node/register/transpile-only scripts/results/main.ts [--only TEXT ...] [--limit N] [--list]
 *
 *   --only TEXT   runs whose name holds the text, such as `sync-grpo-full` or `showo-mini-1`; several times: any of them
 *   --limit N     a quick check: at most N steps of every stage, 2 N prompts; leaves out/results-limited alone
 *   --list        prints the list: what is finished, what is not run
 *   --out DIR     results (default data/results)
 *   --work DIR    runs that are under way (default out/results)
 *   --model DIR   a checkpoint in the place of the mini one
 *   --tables      writes summary and tables anew, and runs nothing
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { dataFolder, packageRoot } from '../../src/io/package-root';
import { writeFileAtomic } from '../../src/io/write-file';
import { corlRuns } from './corl';
import { mmR1Runs } from './mm-r1';
import { chosen, nameOf, RUNS } from './runs';
import { ResultStore } from './store';
import { syncGrpoRuns } from './sync-grpo';
import { withTables } from './tables';
import { workThrough } from './work-through';

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    limit: { type: 'string' },
    list: { type: 'boolean', default: false },
    tables: { type: 'boolean', default: false },
    out: { type: 'string' },
    work: { type: 'string' },
    model: { type: 'string' },
  },
});

async function main(): Promise<void> {
  const limit = values.limit === undefined ? undefined : Number(values.limit);
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1))
    throw new RangeError(`--limit needs a whole number from 1, got '${values.limit}'`);
  const place = limit === undefined ? dataFolder('results') : path.join('out', 'results-limited');
  const store = new ResultStore(values.out ?? place);
  const runs = chosen(values.only.flatMap((text) => text.split(/[\s,]+/)).filter(Boolean));
  if (values.list) {
    for (const run of runs) console.log(`${store.has(run) ? 'finished' : 'not run '}  ${nameOf(run)}`);
    return;
  }
  const page = path.join(packageRoot(), 'docs', 'results.md');
  const tell = async () => {
    const summary = await store.writeSummary();
    if (limit !== undefined || values.out !== undefined) return;
    const made = withTables(readFileSync(page, 'utf8'), summary, store.read(), RUNS);
    await writeFileAtomic(page, await format(made, { ...(await resolveConfig(page)), filepath: page }));
  };
  if (values.tables) return tell();
  await workThrough(runs, {
    methods: { 'sync-grpo': syncGrpoRuns, corl: corlRuns, 'mm-r1': mmR1Runs },
    store,
    folder: values.work ?? path.join('out', limit === undefined ? 'results' : 'results-limited/work'),
    modelOf: ({ backbone }) => values.model ?? dataFolder('checkpoints', backbone),
    limit,
    finished: tell,
    say: (line) => console.log(line),
  });
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? (error.stack ?? error.message) : error);
  process.exit(1);
});
