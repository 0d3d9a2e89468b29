/**
 * Items of a published data set, read one after another: each is checked by itself, and what is wrong with one says
 * file, place and field and takes no neighbor with it. A reader is a schema and what an item is made of.
 */
import type * as z from 'zod';

/** A record of a file before anybody looked at its fields, or why it could not be had. */
export type RawRecord = Place & ({ readonly value: unknown } | { readonly problem: string });

export interface Place {
  readonly file: string;
  /** `line 3`, `item 7`, `row 12`, `the file`. */
  readonly where: string;
}

/** What is wrong with an item, for people: `FILE, line 3: field 'prompt' should be a text, got 5`. */
export class ItemError extends Error {
  override readonly name = 'ItemError';
  constructor(
    readonly place: Place,
    readonly problem: string,
  ) {
    super(`${place.file}, ${place.where}: ${problem}`);
  }
}

/** Thrown while an item is made of its record: becomes the item's error. */
export class ItemProblem extends Error {
  override readonly name = 'ItemProblem';
}

/** The folder or file is not the data set at all. */
export class DataSetError extends Error {
  override readonly name = 'DataSetError';
  /** @param file the file or folder, when it is one */
  constructor(
    message: string,
    readonly file = '',
  ) {
    super(message);
  }
}

/** Of a set of many files: one that is missing or no text is an item's error, and the others are read. */
export async function* orError(records: AsyncIterable<RawRecord>): AsyncGenerator<RawRecord> {
  try {
    yield* records;
  } catch (error) {
    if (!(error instanceof DataSetError)) throw error;
    yield { file: error.file, where: 'the file', problem: error.message.replace(/^.*?: /, '') };
  }
}

/** One item, or its error; a reader never throws for an item. */
export type Read<T> = { readonly item: T } | { readonly error: ItemError };

/** What is streamed. @throws DataSetError, when it is first asked, if nothing of the set is there */
export type Reading<T> = AsyncIterable<Read<T>>;

export interface ItemReader<S extends z.ZodType, T> {
  readonly schema: S;
  /** @throws ItemProblem */
  readonly make: (value: z.output<S>, place: Place) => T | Promise<T>;
  /** Two items of one id: the second is an error. */
  readonly id?: (item: T) => string;
}

/** Checks records and makes items of them, one at a time. */
export async function* readItems<S extends z.ZodType, T>(
  records: AsyncIterable<RawRecord> | Iterable<RawRecord>,
  { schema, make, id }: ItemReader<S, T>,
): AsyncGenerator<Read<T>> {
  const seen = new Map<string, string>();
  for await (const record of records) {
    const read = 'problem' in record ? failed(record, record.problem) : await readOne(record, schema, make);
    if (!id || 'error' in read) {
      yield read;
      continue;
    }
    const key = id(read.item);
    const first = seen.get(key);
    if (first === undefined) seen.set(key, record.where);
    yield first === undefined ? read : failed(record, `the id '${key}' was there before, at ${first}`);
  }
}

async function readOne<S extends z.ZodType, T>(
  record: Place & { readonly value: unknown },
  schema: S,
  make: ItemReader<S, T>['make'],
): Promise<Read<T>> {
  const spoilt = spoiltText(record.value);
  if (spoilt !== undefined) return failed(record, `${nameOf(spoilt)} is not UTF-8 text`);
  const found = schema.safeParse(record.value);
  if (!found.success) return failed(record, sentence(found.error, record.value));
  try {
    return { item: await make(found.data, record) };
  } catch (error) {
    if (error instanceof ItemProblem) return failed(record, error.message);
    throw error;
  }
}

const failed = ({ file, where }: Place, problem: string) => ({ error: new ItemError({ file, where }, problem) });

/** All of a reading in memory. @param limit stop after so many items; default: all */
export async function collectItems<T>(
  reading: Reading<T>,
  limit = Infinity,
): Promise<{ readonly items: T[]; readonly errors: ItemError[] }> {
  const items: T[] = [];
  const errors: ItemError[] = [];
  if (limit <= 0) return { items, errors };
  for await (const read of reading) {
    if ('error' in read) errors.push(read.error);
    else if (items.push(read.item) >= limit) break;
  }
  return { items, errors };
}

/** Items of several files one after another. */
export async function* inTurn<T>(readings: Iterable<Reading<T>>): AsyncGenerator<Read<T>> {
  for (const reading of readings) yield* reading;
}

/** The fields at fault in plain English, at most three. */
export function sentence(error: z.ZodError, value: unknown): string {
  const issues = error.issues.slice(0, 3).map(({ path, message, code, ...rest }) => {
    const keys = code === 'unrecognized_keys' ? (rest as { keys: string[] }).keys.join(', ') : undefined;
    const asked = keys === undefined ? plain(message) : `has unknown fields: ${keys}`;
    return `${nameOf(path)} ${asked}, got ${shown(valueAt(value, path))}`;
  });
  const more = error.issues.length - issues.length;
  return issues.join('; ') + (more > 0 ? `; and ${more} more` : '');
}

const words: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  boolean: 'true or false',
};

/** zod's message as the end of a sentence whose subject is the field. */
function plain(message: string): string {
  const expected = message
    .replace(/^(?:Invalid (?:input|option)|Too (?:small|big)): /, '')
    .replace(/, received .*/, '');
  return expected
    .replace(/^expected /, 'should be ')
    .replace(/^should be (\w+)/, (all: string, kind: string) =>
      Object.hasOwn(words, kind) ? `should be ${words[kind]}` : all,
    )
    .replace(/ to (be|have) /, (_, verb: string) => (verb === 'be' ? ' of ' : ' with '))
    .replace(/>=/, 'at least ')
    .replace(/<=/, 'at most ');
}

const nameOf = (path: readonly PropertyKey[]): string =>
  path.length === 0
    ? 'the item'
    : `field '${path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i > 0 ? '.' : ''}${String(key)}`)).join('')}'`;

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined | null)?.[key], value);
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text =
    JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? Number(inner) : inner)) ?? typeof value;
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** Where bytes that are no UTF-8 were: decoding puts U+FFFD for them. */
function spoiltText(value: unknown, path: readonly PropertyKey[] = []): readonly PropertyKey[] | undefined {
  if (typeof value === 'string') return value.includes('\uFFFD') ? path : undefined;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    if (key.includes('\uFFFD')) return path;
    const found = spoiltText(inner, [...path, Array.isArray(value) ? Number(key) : key]);
    if (found) return found;
  }
  return undefined;
}
