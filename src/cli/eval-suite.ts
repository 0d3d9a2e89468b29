/** `unilab eval SUITE`: a paper's benchmarks on a model, into a folder that can be gone on with; `compare` of two such. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { SUBJECT_MODES } from '../data/protocol';
import { FITS } from '../data/fit-image';
import { TEXT_STYLES } from '../data/personalization';
import { STRUCTURES } from '../data/xcot-sample';
import { Rng, startEngine } from '../engine';
import { suites } from '../eval';
import { projectVersion } from '../io/version';
import { writeFileAtomic } from '../io/write-file';
import { MINI_MODELS } from '../miniworld/evaluation/mini-models';
import { MINI_SUITES } from '../miniworld/suites';
import { type Command, placeFor, UsageError } from './command';
import {
  ALL_STAND_INS,
  ALL_SUITES,
  chatOf,
  chosen,
  commandOf,
  dataOf,
  modelFolder,
  needed,
  ofSubjects,
  parse,
  protocolOf,
  standInsOf,
  type Values,
  whole,
} from './eval-suite-options';

const described = ({ name, about, data }: suites.Suite) =>
  [name, `            ${about}`, ...(data ? [`            --data: ${data}`] : [])].join('\n');

export const suiteUsage = `unilab eval SUITE --model FOLDER [--data FOLDER] [--out FOLDER] [--resume] [--limit N] [--only NAME,..] [--json]
unilab eval compare FOLDER FOLDER [--json]
unilab eval nearest --data FOLDER [--out FILE.json] [--json]

${Object.values(suites.SUITES).map(described).join('\n')}
of the mini world, whose items are made, with exact truth (no --data):
${Object.values(MINI_SUITES).map(described).join('\n')}
compare     two evaluations of one suite: the same items, differences with paired intervals, clusters resampled together
nearest     DreamBench's photographs by MobileNet features: how often the nearest other one is of the same subject

  --model FOLDER        a checkpoint, or ${Object.keys(MINI_MODELS).join(', ')}: a mini one that ships; runs/{subject}/model: one for each subject
  --out FOLDER          default out/eval/SUITE; killed at any moment, --resume goes on, scoring nothing twice
  --limit N             the first N items of each benchmark
  --only NAME,..        these benchmarks of the suite; --only-subjects NAME,..: items of these subjects
  --samples N           images drawn of a prompt (the papers: 4)
  --subjects HOW        ${SUBJECT_MODES.join(', ')}: how the model knows the subject of a prompt
  --structure S         ${STRUCTURES.join(', ')}: how a model that is shown a subject draws it
  --instruction TEXT    said behind every question
  --style S             ${TEXT_STYLES.join(', ')}: how questions are put; spaced is what a model with the mini world's words gets by default
  --fit HOW             ${FITS.join(', ')}: how images of another size than the model sees are made to fit
  --guidance, --steps, --temperature   of images
  --scorers FOLDER      models that score, in ${Object.keys(suites.SCORER_FOLDERS).join('/, ')}/
  --stand-ins NAME,..   small ones that ship, under their own names:
${Object.entries(ALL_STAND_INS)
  .map(([name, { about }]) => `                        ${name}: ${about}`)
  .join('\n')}
  --judge URL           an OpenAI-compatible endpoint (off by default); --judge-model NAME; the key in UNILAB_CHAT_KEY
  --judge-price P,C     of a million tokens asked and answered; --max-cost C stops asking there
  --json                the report as one JSON object on standard output`;

/** Words that this file's command takes as its first argument. */
export const isSuiteTarget = (name: string | undefined): boolean =>
  name !== undefined && (name === 'compare' || name === 'nearest' || Object.hasOwn(ALL_SUITES, name));

export const command: Command = {
  summary: "the papers' benchmarks on a model",
  usage: suiteUsage,
  async run(args) {
    const { values, positionals } = parse(args);
    const [target, ...rest] = positionals;
    if (target === 'compare') return compare(rest, values);
    if (rest.length > 0) throw new UsageError(`one suite at a time: ${Object.keys(ALL_SUITES).join(', ')}`);
    return target === 'nearest' ? nearest(values, commandOf(args)) : evaluate(target, values, commandOf(args));
  },
};

async function evaluate(name: string, values: Values, typed: string): Promise<number> {
  const suite = ALL_SUITES[name];
  const model = needed('model', values.model);
  const folder = modelFolder(model);
  const data = dataOf(suite, values.data);
  const out = values.out ?? path.join('out', 'eval', name);
  const protocol = await protocolOf(suite, folder, values);
  const limit = values.limit === undefined ? undefined : whole('limit', values.limit, 1);
  const seed = values.seed === undefined ? 1 : whole('seed', values.seed, 0);
  await startEngine();
  const judges = await suites.loadJudges({
    scorers: values.scorers,
    standIns: standInsOf(values),
    chat: chatOf(values, out),
  });
  const models = new suites.ModelFolder(folder, suite.load);
  const interrupt = stopOnInterrupt();
  try {
    const parts = await suite.parts({ data: data ?? '', style: protocol.style, judges, seed, keep: judges.keep });
    const benchmarks = chosen(parts, values.only).map((one) => ofSubjects(one, values['only-subjects']));
    const by = Object.fromEntries(benchmarks.map((one) => [one.name, one.judges]));
    const identity = {
      ...{ suite: name, model, data: data === undefined ? null : path.resolve(data) },
      ...{ judges: by, protocol, limit: limit ?? null, seed },
      ...(values['only-subjects'] === undefined ? {} : { onlySubjects: values['only-subjects'] }),
    };
    const results = await suites.runBenchmarks(out, benchmarks, models, {
      ...{ identity, protocol, limit, resume: values.resume, signal: interrupt.signal },
      rng: new Rng(seed).split(`eval ${name}`),
      batchSize: values.batch === undefined ? undefined : whole('batch', values.batch, 1),
      progress: progressSayer(),
    });
    // The folder as it was named: a report may be passed on.
    const settings = { command: typed, ...identity, data: data ?? null, usage: judges.endpoint?.usage };
    const report = suites.reportOf(suite, results, settings, new Rng(seed), parts.leftOut);
    await suites.writeReport(out, suite, report);
    console.log(values.json ? JSON.stringify(report) : suites.reportMarkdown(suite, report));
    if (!values.json) console.error(`written: ${out}/report.json, table.md, table.tex`);
    return report.benchmarks.some(({ unscored }) => unscored > 0) ? 1 : 0;
  } finally {
    interrupt.release();
    models.dispose();
    judges.dispose();
  }
}

/** Stops between batches when the user interrupts. */
function stopOnInterrupt(): { readonly signal: AbortSignal; release(): void } {
  const stop = new AbortController();
  const onInterrupt = () => {
    console.error('stopping after this batch; --resume goes on from there');
    stop.abort(new Error('stopped; --resume goes on'));
  };
  process.once('SIGINT', onInterrupt);
  return { signal: stop.signal, release: () => process.removeListener('SIGINT', onInterrupt) };
}

/** At most every few seconds; the first and the last of a benchmark always. */
function progressSayer(): (progress: suites.SuiteProgress) => void {
  let said = -Infinity;
  let last = '';
  return ({ benchmark, done, total, secondsLeft }) => {
    const now = performance.now();
    if (benchmark === last && done < total && now - said < 5000) return;
    [said, last] = [now, benchmark];
    const left = secondsLeft === undefined || done === total ? '' : `, about ${duration(secondsLeft)} left`;
    console.error(`eval ${benchmark}: ${done}/${total}${left}`);
  };
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

async function compare(folders: readonly string[], values: Values): Promise<number> {
  if (folders.length !== 2) throw new UsageError('compare takes the folders of two evaluations');
  const [a, b] = folders as readonly [string, string];
  const suiteOf = (folder: string): string => {
    const file = path.join(folder, 'options.json');
    if (!existsSync(file)) throw new UsageError(`${folder} holds no evaluation`);
    return (JSON.parse(readFileSync(file, 'utf8')) as { options: { suite: string } }).options.suite;
  };
  if (suiteOf(a) !== suiteOf(b)) throw new UsageError(`${a} is of ${suiteOf(a)}, ${b} of ${suiteOf(b)}`);
  const cells = await suites.compareFolders(a, b, new Rng(1));
  console.log(values.json ? JSON.stringify({ a, b, cells }) : suites.comparedMarkdown(cells, [a, b]));
  return 0;
}

async function nearest(values: Values, typed: string): Promise<number> {
  const data = needed('data', values.data);
  await placeFor(values.out);
  await startEngine();
  const found = await suites.nearestSubjects(data);
  const made = { command: typed, version: projectVersion(), ...found };
  if (values.out !== undefined) await writeFileAtomic(values.out, `${JSON.stringify(made, null, 1)}\n`);
  const { share, images, subjects, features } = found;
  const line = `${features}: the nearest other photograph is of the same subject for ${(100 * share).toFixed(1)}% of ${images} (${subjects} subjects)`;
  console.log(values.json ? JSON.stringify(made) : line);
  return 0;
}
