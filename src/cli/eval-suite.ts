/** `unilab eval SUITE`: a paper's benchmarks on a model, into a folder that can be gone on with; `compare` of two such. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Protocol, SUBJECT_MODES, type SubjectMode } from '../data/ask-model';
import type { ChatEndpointOptions } from '../data/chat-endpoint';
import { STRUCTURES, type Structure } from '../data/xcot-sample';
import { Rng, startEngine } from '../engine';
import { suites } from '../eval';
import { type Command, UsageError } from './command';

const { SUITES, SCORER_FOLDERS, STAND_INS } = suites;

const OPTIONS = {
  model: { type: 'string' },
  data: { type: 'string' },
  out: { type: 'string' },
  only: { type: 'string' },
  limit: { type: 'string' },
  resume: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  seed: { type: 'string' },
  batch: { type: 'string' },
  samples: { type: 'string' },
  subjects: { type: 'string' },
  structure: { type: 'string' },
  instruction: { type: 'string' },
  guidance: { type: 'string' },
  steps: { type: 'string' },
  temperature: { type: 'string' },
  scorers: { type: 'string' },
  'stand-ins': { type: 'string' },
  judge: { type: 'string' },
  'judge-model': { type: 'string' },
  'judge-price': { type: 'string' },
  'max-cost': { type: 'string' },
} as const;

const parse = (args: readonly string[]) => parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
type Values = ReturnType<typeof parse>['values'];

export const suiteUsage = `unilab eval SUITE --model FOLDER --data FOLDER [--out FOLDER] [--resume] [--limit N] [--only NAME,..] [--json]
unilab eval compare FOLDER FOLDER [--json]
unilab eval nearest --data FOLDER [--json]

${Object.values(SUITES)
  .map(({ name, about, data }) => `${name}\n            ${about}\n            --data: ${data}`)
  .join('\n')}
compare     two evaluations of one suite: the same items, differences with paired intervals, clusters resampled together
nearest     DreamBench's photographs by MobileNet features: how often the nearest other one is of the same subject

  --model FOLDER        a checkpoint; runs/{subject}/model: one for each subject
  --out FOLDER          default out/eval/SUITE; killed at any moment, --resume goes on, scoring nothing twice
  --limit N             the first N items of each benchmark
  --only NAME,..        these benchmarks of the suite
  --samples N           images drawn of a prompt (the papers: 4)
  --subjects HOW        ${SUBJECT_MODES.join(', ')}: how the model knows the subject of a prompt
  --structure S         ${STRUCTURES.join(', ')}: how a model that is shown a subject draws it
  --instruction TEXT    said behind every question
  --guidance, --steps, --temperature   of images
  --scorers FOLDER      models that score, in ${Object.keys(SCORER_FOLDERS).join('/, ')}/
  --stand-ins NAME,..   ${STAND_INS.join(', ')}: small ones that ship, under their own names
  --judge URL           an OpenAI-compatible endpoint (off by default); --judge-model NAME; the key in UNILAB_CHAT_KEY
  --judge-price P,C     of a million tokens asked and answered; --max-cost C stops asking there
  --json                the report as one JSON object on standard output`;

/** Words that this file's command takes as its first argument. */
export const isSuiteTarget = (name: string | undefined): boolean =>
  name !== undefined && (name === 'compare' || name === 'nearest' || Object.hasOwn(SUITES, name));

export const command: Command = {
  summary: "the papers' benchmarks on a model",
  usage: suiteUsage,
  async run(args) {
    const { values, positionals } = parse(args);
    const [target, ...rest] = positionals;
    if (target === 'compare') return compare(rest, values);
    if (rest.length > 0) throw new UsageError(`one suite at a time: ${Object.keys(SUITES).join(', ')}`);
    return target === 'nearest' ? nearest(values) : evaluate(target, values);
  },
};

async function evaluate(name: string, values: Values): Promise<number> {
  const suite = SUITES[name];
  const model = needed('model', values.model);
  const data = needed('data', values.data);
  if (!existsSync(data)) throw new UsageError(`--data: there is no folder ${data}`);
  const out = values.out ?? path.join('out', 'eval', name);
  const protocol = { ...suite.protocol, ...protocolOf(values, suite.protocol) };
  const limit = values.limit === undefined ? undefined : whole('limit', values.limit, 1);
  const seed = values.seed === undefined ? 1 : whole('seed', values.seed, 0);
  await startEngine();
  const judges = await suites.loadJudges({
    scorers: values.scorers,
    standIns: standInsOf(values),
    chat: chatOf(values, out),
  });
  const models = new suites.ModelFolder(model);
  const stop = new AbortController();
  const onInterrupt = () => {
    console.error('stopping after this batch; --resume goes on from there');
    stop.abort(new Error('stopped; --resume goes on'));
  };
  process.once('SIGINT', onInterrupt);
  try {
    const benchmarks = chosen(suite.benchmarks(data, judges), values.only);
    const by = Object.fromEntries(benchmarks.map((one) => [one.name, one.judges]));
    const identity = { suite: name, model, data: path.resolve(data), judges: by, protocol, limit: limit ?? null, seed };
    const results = await suites.runBenchmarks(out, benchmarks, models, {
      ...{ identity, protocol, limit, resume: values.resume, signal: stop.signal },
      rng: new Rng(seed).split(`eval ${name}`),
      batchSize: values.batch === undefined ? undefined : whole('batch', values.batch, 1),
      progress: sayProgress,
    });
    const report = suites.reportOf(suite, results, { ...identity, usage: judges.endpoint?.usage }, new Rng(seed));
    await suites.writeReport(out, suite, report);
    console.log(values.json ? JSON.stringify(report) : suites.reportMarkdown(suite, report));
    return report.benchmarks.some(({ unscored }) => unscored > 0) ? 1 : 0;
  } finally {
    process.removeListener('SIGINT', onInterrupt);
    models.dispose();
    judges.dispose();
  }
}

function sayProgress({ benchmark, done, total, secondsLeft }: suites.SuiteProgress): void {
  const left = secondsLeft === undefined ? '' : `, about ${duration(secondsLeft)} left`;
  console.error(`eval ${benchmark}: ${done}/${total}${left}`);
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

async function nearest(values: Values): Promise<number> {
  const data = needed('data', values.data);
  await startEngine();
  const found = await suites.nearestSubjects(data);
  const { share, images, subjects, features } = found;
  const line = `${features}: the nearest other photograph is of the same subject for ${(100 * share).toFixed(1)}% of ${images} (${subjects} subjects)`;
  console.log(values.json ? JSON.stringify(found) : line);
  return 0;
}

function chosen<B extends { readonly name: string }>(benchmarks: readonly B[], only: string | undefined): readonly B[] {
  if (only === undefined) return benchmarks;
  const names = only.split(',');
  const unknown = names.find((name) => !benchmarks.some((one) => one.name === name));
  if (unknown !== undefined)
    throw new UsageError(`--only: there is no '${unknown}' here, but ${benchmarks.map(({ name }) => name).join(', ')}`);
  return benchmarks.filter(({ name }) => names.includes(name));
}

function protocolOf(values: Values, base: Protocol): Partial<Protocol> {
  const image = {
    ...base.image,
    ...(values.guidance === undefined ? {} : { guidanceScale: real('guidance', values.guidance) }),
    ...(values.steps === undefined ? {} : { steps: whole('steps', values.steps, 1) }),
    ...(values.temperature === undefined ? {} : { temperature: real('temperature', values.temperature) }),
  };
  return {
    image,
    ...(values.samples === undefined ? {} : { samples: whole('samples', values.samples, 1) }),
    ...(values.instruction === undefined ? {} : { instruction: values.instruction }),
    ...(values.subjects === undefined
      ? {}
      : { subjects: oneOf<SubjectMode>('subjects', values.subjects, SUBJECT_MODES) }),
    ...(values.structure === undefined
      ? {}
      : { structure: oneOf<Structure>('structure', values.structure, STRUCTURES) }),
  };
}

function standInsOf(values: Values): readonly suites.StandIn[] {
  const names = values['stand-ins']?.split(',') ?? [];
  return names.map((name) => oneOf<suites.StandIn>('stand-ins', name, STAND_INS));
}

function chatOf(values: Values, out: string): ChatEndpointOptions | undefined {
  if (values.judge === undefined) return undefined;
  const [prompt, completion] = (values['judge-price'] ?? '0,0').split(',').map((price) => real('judge-price', price));
  return {
    baseUrl: values.judge,
    model: needed('judge-model', values['judge-model']),
    cacheFolder: path.join(out, 'judge'),
    price: { prompt, completion: completion ?? prompt },
    ...(values['max-cost'] === undefined ? {} : { maxCost: real('max-cost', values['max-cost']) }),
  };
}

function needed(name: string, value: string | undefined): string {
  if (value) return value;
  throw new UsageError(`--${name} is needed`);
}

function oneOf<T extends string>(name: string, value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new UsageError(`--${name} is ${choices.join(', ')}, got '${value}'`);
}

function whole(name: string, given: string, least: number): number {
  const value = Number(given);
  if (given !== '' && Number.isInteger(value) && value >= least) return value;
  throw new UsageError(`--${name} needs a whole number of at least ${least}, got '${given}'`);
}

function real(name: string, given: string): number {
  const value = Number(given);
  if (given !== '' && Number.isFinite(value) && value >= 0) return value;
  throw new UsageError(`--${name} needs a number of at least 0, got '${given}'`);
}
