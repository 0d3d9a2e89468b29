/** What makes a folder this run's: its resolved options, in `options.json`. */
import { mkdir, readFile } from 'node:fs/promises';
import * as path from 'node:path';
import { packageRoot } from './package-root';
import { writeFileAtomic } from './write-file';

/** The folder belongs to a run with other options, or cannot be gone on with. */
export class RunError extends Error {
  override readonly name = 'RunError';
}

/**
 * Makes a folder a run's, or finds it to be that run's already.
 * @param options resolved
 * @returns the options as JSON has them
 * @throws RunError when there is a run and `resume` is not asked for, or a run with other options: it lists them
 */
export async function claimFolder(folder: string, options: object, resume: boolean): Promise<Record<string, unknown>> {
  const given = JSON.parse(JSON.stringify(options)) as Record<string, unknown>;
  const file = path.join(folder, 'options.json');
  const before = await readIdentity(file);
  if (!before) {
    await mkdir(folder, { recursive: true });
    const identity = { options: given, seed: given.seed, versions: await versions() };
    await writeFileAtomic(file, `${JSON.stringify(identity, null, 2)}\n`);
    return given;
  }
  if (!resume)
    throw new RunError(
      `${folder} holds a run already: resume it (--resume; in code resume: true), or give another folder`,
    );
  const differences = differencesOf(before.options, given);
  if (differences.length > 0) throw new RunError(`${folder} holds a run with other options: ${differences.join('; ')}`);
  return given;
}

interface Identity {
  readonly options: Readonly<Record<string, unknown>>;
}

async function readIdentity(file: string): Promise<Identity | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Identity;
  } catch (error) {
    throw new RunError(`${file} cannot be read (${(error as Error).message})`, { cause: error });
  }
}

/** `NAME: was A, is B`, for every option that differs. */
function differencesOf(before: unknown, now: unknown, name = ''): string[] {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (isObject(before) && isObject(now)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
    return names.flatMap((key) => differencesOf(before[key], now[key], name ? `${name}.${key}` : key));
  }
  // An older version had no such option; one that is off changes nothing.
  if ([before, now].includes(undefined) && isOff(before) && isOff(now)) return [];
  const [was, is] = [before, now].map((value) => JSON.stringify(value) ?? 'not there');
  return was === is ? [] : [`${name}: was ${was}, is ${is}`];
}

const isOff = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  (typeof value === 'object' && 'enabled' in value && value.enabled === false);

async function versions(): Promise<Record<string, string>> {
  const file = path.join(packageRoot(), 'package.json');
  const { version, dependencies = {} } = JSON.parse(await readFile(file, 'utf8')) as {
    version: string;
    dependencies?: Record<string, string>;
  };
  return { unilab: version, node: process.versions.node, '@tensorflow/tfjs': dependencies['@tensorflow/tfjs'] };
}
