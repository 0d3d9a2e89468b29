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
 *   --seed N      with N from 101: the runs with another seed, for choosing options; leaves out/validation/NAME alone
 *   --set K=V     over what was chosen; with --seed, and --name NAME
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
import { chosen, nameOf, RUNS, validationRuns } from './runs';
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
    seed: { type: 'string' },
    name: { type: 'string', default: 'as-chosen' },
    set: { type: 'string', multiple: true, default: [] },
  },
});

async function main(): Promise<void> {
  const limit = values.limit === undefined ? undefined : Number(values.limit);
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1))
    throw new RangeError(`--limit needs a whole number from 1, got '${values.limit}'`);
  const { seed, set } = values;
  if (set.length > 0 && seed === undefined)
    throw new RangeError('--set changes what was chosen: it goes with --seed, whose runs are not reported');
  const place = placeOf(limit, seed);
  const isReported = place === undefined && values.out === undefined;
  const store = new ResultStore(values.out ?? place ?? dataFolder('results'));
  const texts = values.only.flatMap((text) => text.split(/[\s,]+/)).filter(Boolean);
  const runs = chosen(texts, seed === undefined ? RUNS : validationRuns(Number(seed)));
  if (values.list) {
    for (const run of runs) console.log(`${store.has(run) ? 'finished' : 'not run '}  ${nameOf(run)}`);
    return;
  }
  const page = path.join(packageRoot(), 'docs', 'results.md');
  const tell = async () => {
    const summary = await store.writeSummary();
    if (!isReported) return;
    const made = withTables(readFileSync(page, 'utf8'), summary, store.read(), RUNS);
    await writeFileAtomic(page, await format(made, { ...(await resolveConfig(page)), filepath: page }));
  };
  if (values.tables) return tell();
  await workThrough(runs, {
    methods: { 'sync-grpo': syncGrpoRuns, corl: corlRuns, 'mm-r1': mmR1Runs },
    store,
    folder: values.work ?? (place === undefined ? path.join('out', 'results') : path.join(place, 'work')),
    modelOf: ({ backbone }) => values.model ?? dataFolder('checkpoints', backbone),
    limit,
    set,
    told: saidBehindName(),
    finished: tell,
    say: (line) => console.log(line),
  });
}

/** Where runs go that are not reported. */
function placeOf(limit: number | undefined, seed: string | undefined): string | undefined {
  if (limit !== undefined) return path.join('out', 'results-limited');
  return seed === undefined ? undefined : path.join('out', 'validation', values.name);
}

/** What else a command must say to make the same run again. */
function saidBehindName(): string {
  const { limit, model, seed, name, set } = values;
  const options = [
    ...(model === undefined ? [] : [`--model ${model}`]),
    ...(seed === undefined ? [] : [`--seed ${seed}`, `--name ${name}`]),
    ...set.map((one) => `--set ${one}`),
  ].join(' ');
  return `${limit === undefined ? '' : ` limit=${limit}`}${options === '' ? '' : ` options='${options}'`}`;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? (error.stack ?? error.message) : error);
  process.exit(1);
});
