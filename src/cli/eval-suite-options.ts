/** What `unilab eval SUITE` is called with, checked. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Protocol, SUBJECT_MODES, type SubjectMode } from '../data/protocol';
import type { Benchmark } from '../data/benchmark';
import type { ChatEndpointOptions } from '../data/chat-endpoint';
import { type Fit, FITS } from '../data/fit-image';
import { TEXT_STYLES, type TextStyle } from '../data/personalization';
import { STRUCTURES, type Structure } from '../data/xcot-sample';
import { suites } from '../eval';
import { dataFolder } from '../io/package-root';
import { miniProtocol, MINI_MODELS } from '../miniworld/evaluation/mini-models';
import { MINI_STAND_INS } from '../miniworld/mini-detector';
import { MINI_SUITES } from '../miniworld/suites';
import { UsageError } from './command';

/** By the name that the command takes. */
export const ALL_SUITES: Readonly<Record<string, suites.Suite>> = { ...suites.SUITES, ...MINI_SUITES };
export const ALL_STAND_INS: Readonly<Record<string, suites.StandIn>> = { ...suites.STAND_INS, ...MINI_STAND_INS };

export const OPTIONS = {
  model: { type: 'string' },
  data: { type: 'string' },
  out: { type: 'string' },
  only: { type: 'string' },
  'only-subjects': { type: 'string' },
  limit: { type: 'string' },
  resume: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  seed: { type: 'string' },
  batch: { type: 'string' },
  samples: { type: 'string' },
  subjects: { type: 'string' },
  structure: { type: 'string' },
  instruction: { type: 'string' },
  fit: { type: 'string' },
  style: { type: 'string' },
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

export const parse = (args: readonly string[]) =>
  parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
export type Values = ReturnType<typeof parse>['values'];

/** A folder, or the name of a mini model that ships: `showo`. */
export function modelFolder(given: string): string {
  if (existsSync(given) || !Object.hasOwn(MINI_MODELS, given)) return given;
  return dataFolder('checkpoints', MINI_MODELS[given as keyof typeof MINI_MODELS].folder);
}

export function dataOf({ name, data }: suites.Suite, given: string | undefined): string | undefined {
  if (data === undefined) {
    if (given !== undefined) throw new UsageError(`${name} makes its items: it takes no --data`);
    return undefined;
  }
  if (!given) throw new UsageError(`--data is needed: ${data}`);
  if (!existsSync(given)) throw new UsageError(`--data: there is no folder ${given}`);
  return given;
}

/** @throws UsageError for a name that is not there, or is left out; SuiteError when nothing is there at all */
export function chosen(
  { benchmarks, leftOut = [] }: suites.SuiteParts,
  only: string | undefined,
): readonly Benchmark[] {
  if (only === undefined) {
    if (benchmarks.length > 0) return benchmarks;
    const why = leftOut.map(({ name, reason }) => `  ${name}: ${reason}`).join('\n');
    throw new suites.SuiteError(`there is nothing to evaluate:\n${why}`);
  }
  return only.split(',').map((name) => {
    const found = benchmarks.find((one) => one.name === name);
    if (found) return found;
    const left = leftOut.find((one) => one.name === name);
    const there = benchmarks.map((one) => one.name).join(', ');
    throw new UsageError(
      left ? `--only: ${name} is left out, ${left.reason}` : `--only: there is no '${name}' here, but ${there}`,
    );
  });
}

/** The suite's, then what is good for a mini model, then what the command says. */
export async function protocolOf(suite: suites.Suite, model: string, values: Values): Promise<Protocol> {
  const mini = await miniProtocol(model);
  const image = {
    ...suite.protocol.image,
    ...mini?.image,
    ...(values.guidance === undefined ? {} : { guidanceScale: real('guidance', values.guidance) }),
    ...(values.steps === undefined ? {} : { steps: whole('steps', values.steps, 1) }),
    ...(values.temperature === undefined ? {} : { temperature: real('temperature', values.temperature) }),
  };
  const { samples, instruction, subjects, structure, fit } = values;
  // Suites of the mini world make no other sentences.
  const style =
    suite.data === undefined
      ? undefined
      : values.style === undefined
        ? mini?.style
        : oneOf<TextStyle>('style', values.style, TEXT_STYLES);
  return {
    ...suite.protocol,
    image,
    ...(style === undefined ? {} : { style }),
    ...(samples === undefined ? {} : { samples: whole('samples', samples, 1) }),
    ...(instruction === undefined ? {} : { instruction }),
    ...(fit === undefined ? {} : { fit: oneOf<Fit>('fit', fit, FITS) }),
    ...(subjects === undefined ? {} : { subjects: oneOf<SubjectMode>('subjects', subjects, SUBJECT_MODES) }),
    ...(structure === undefined ? {} : { structure: oneOf<Structure>('structure', structure, STRUCTURES) }),
  };
}

/** The items of these subjects alone. Reading them to the end throws SuiteError for a subject of which there is none. */
export function ofSubjects(benchmark: Benchmark, given: string | undefined): Benchmark {
  if (given === undefined) return benchmark;
  const names = given.split(',');
  return {
    ...benchmark,
    async *items() {
      const subjects = new Set<string>();
      for await (const read of benchmark.items()) {
        if (!('error' in read)) subjects.add(read.item.subject ?? '');
        if ('error' in read || names.includes(read.item.subject ?? '')) yield read;
      }
      const unknown = names.filter((name) => !subjects.has(name));
      if (unknown.length > 0)
        throw new suites.SuiteError(
          `--only-subjects: ${benchmark.name} has no item of ${unknown.join(', ')}, but of ${[...subjects].join(', ')}`,
        );
    },
  };
}

/** What was typed, without what changes neither numbers nor tables. */
export function commandOf(args: readonly string[]): string {
  const words = args.filter((arg) => arg !== '--resume' && arg !== '--json');
  const quoted = words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`));
  return ['bin/unilab eval', ...quoted].join(' ');
}

export function standInsOf(values: Values): readonly suites.StandIn[] {
  const names = values['stand-ins']?.split(',') ?? [];
  return names.map((name) => ALL_STAND_INS[oneOf('stand-ins', name, Object.keys(ALL_STAND_INS))]);
}

export function chatOf(values: Values, out: string): ChatEndpointOptions | undefined {
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

export function needed(name: string, value: string | undefined): string {
  if (value) return value;
  throw new UsageError(`--${name} is needed`);
}

function oneOf<T extends string>(name: string, value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new UsageError(`--${name} is ${choices.join(', ')}, got '${value}'`);
}

export function whole(name: string, given: string, least: number): number {
  const value = Number(given);
  if (given !== '' && Number.isInteger(value) && value >= least) return value;
  throw new UsageError(`--${name} needs a whole number of at least ${least}, got '${given}'`);
}

function real(name: string, given: string): number {
  const value = Number(given);
  if (given !== '' && Number.isFinite(value) && value >= 0) return value;
  throw new UsageError(`--${name} needs a number of at least 0, got '${given}'`);
}
