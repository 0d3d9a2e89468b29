/**
 * The X-CoT data engine (MM-R1, Sec. 3.2): pairs of images of one subject in, records with the thinking between them out.
 * Who extracts, captions and plans is pluggable. It can be killed at any moment and gone on with; what fails, fails alone.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Image, JsonLines } from '../io';
import { writeFileAtomic } from '../io/write-file';
import type { SubjectPair, XcotRecord } from './xcot';
import { recordsFile, writeXcotImages, type XcotLine } from './xcot-folder';

/** What became of one pair in one part. */
export type PartReply<T> = { readonly value: T } | { readonly error: string };

/** One reply a pair, in order. What throws is asked again pair by pair, unless it is `fatal`. */
export type XcotPart<P extends SubjectPair, T> = (pairs: readonly P[]) => Promise<readonly PartReply<T>[]>;

export interface XcotParts<P extends SubjectPair = SubjectPair> {
  /** Says who they are; a folder holds records of one set of parts. */
  readonly name: string;
  /** The subject alone. Flux-Kontext in the paper. */
  readonly extract: XcotPart<P, Image>;
  /** What the subject is and looks like. Qwen2.5-VL in the paper, as for the plan. */
  readonly caption: XcotPart<P, string>;
  /** Layout, action and scene of the target. */
  readonly plan: XcotPart<P, string>;
  /** Errors that end the run, such as a wrong key. Default: none. */
  readonly isFatal?: (error: unknown) => boolean;
}

export interface XcotEngineOptions {
  readonly folder: string;
  /** Pairs handed to the parts at a time. Default 16. */
  readonly batch?: number;
  /** Records that are wanted in the folder; reading stops then. Default: all. */
  readonly limit?: number;
}

/** After each batch. */
export interface XcotProgress {
  /** Records in the folder. */
  readonly done: number;
  /** Pairs of this run that failed; `errors.jsonl` says where and why. The next run tries them again. */
  readonly failed: number;
  /** Pairs that were in the folder before. */
  readonly skipped: number;
}

/** A line of `errors.jsonl`. */
export interface XcotError {
  readonly id: string;
  readonly part: 'extract' | 'caption' | 'plan' | 'write';
  readonly error: string;
}

/**
 * Works through the pairs, batch by batch.
 * @param pairs with ids of their own; one whose id is in the folder is passed by
 * @throws Error when the folder holds records of other parts; what a part's `isFatal` names
 */
export async function* buildXcot<P extends SubjectPair>(
  pairs: AsyncIterable<P> | Iterable<P>,
  parts: XcotParts<P>,
  { folder, batch = 16, limit = Infinity }: XcotEngineOptions,
): AsyncGenerator<XcotProgress, void> {
  if (!Number.isInteger(batch) || batch < 1) throw new RangeError(`batch is ${batch}, expected a positive integer`);
  await claim(folder, parts.name);
  const records = await JsonLines.open<XcotLine>(recordsFile(folder));
  await rm(path.join(folder, 'errors.jsonl'), { force: true });
  const errors = await JsonLines.open<XcotError>(path.join(folder, 'errors.jsonl'));
  const known = new Set((await JsonLines.read<XcotLine>(recordsFile(folder))).map(({ id }) => id));
  const state = { done: known.size, failed: 0, skipped: 0 };
  const work = async (waiting: readonly P[]): Promise<XcotProgress> => {
    for (const made of await thinkAbout(waiting, parts)) {
      const line =
        'part' in made ? made : await writeXcotImages(folder, made).catch((error) => failure(made.id, 'write', error));
      if ('part' in line) await errors.append(line);
      else await records.append(line);
      state['part' in line ? 'failed' : 'done']++;
    }
    return { ...state };
  };
  try {
    let waiting: P[] = [];
    for await (const pair of pairs) {
      if (state.done + waiting.length >= limit) break;
      if (known.has(pair.id)) {
        state.skipped++;
        continue;
      }
      known.add(pair.id);
      if (waiting.push(pair) < batch) continue;
      yield await work(waiting);
      waiting = [];
    }
    if (waiting.length > 0 || state.done + state.failed === 0) yield await work(waiting);
  } finally {
    await records.close();
    await errors.close();
  }
}

/** Each pair's record, or why there is none. */
async function thinkAbout<P extends SubjectPair>(
  pairs: readonly P[],
  parts: XcotParts<P>,
): Promise<(XcotRecord | XcotError)[]> {
  if (pairs.length === 0) return [];
  const [focus, caption, plan] = await Promise.all([
    replies(pairs, parts.extract, parts.isFatal),
    replies(pairs, parts.caption, parts.isFatal),
    replies(pairs, parts.plan, parts.isFatal),
  ]);
  return pairs.map((pair, i): XcotRecord | XcotError => {
    const { id } = pair;
    const [drawn, said, planned] = [focus[i], caption[i], plan[i]];
    if ('error' in drawn) return { id, part: 'extract', error: drawn.error };
    if ('error' in said) return { id, part: 'caption', error: said.error };
    if ('error' in planned) return { id, part: 'plan', error: planned.error };
    return { ...pair, focus: drawn.value, caption: said.value, plan: planned.value };
  });
}

/** @throws Error when a part does not give one reply a pair, and what is fatal */
async function replies<P extends SubjectPair, T>(
  pairs: readonly P[],
  part: XcotPart<P, T>,
  isFatal: XcotParts['isFatal'] = () => false,
): Promise<readonly PartReply<T>[]> {
  let given: readonly PartReply<T>[];
  try {
    given = await part(pairs);
  } catch (error) {
    if (isFatal(error)) throw error;
    if (pairs.length === 1) return [{ error: messageOf(error) }];
    const alone = [];
    for (const pair of pairs) alone.push(...(await replies([pair], part, isFatal)));
    return alone;
  }
  if (given.length !== pairs.length) throw new Error(`a part gave ${given.length} replies for ${pairs.length} pairs`);
  return given;
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
const failure = (id: string, part: XcotError['part'], error: unknown): XcotError => ({
  id,
  part,
  error: messageOf(error),
});

/** @throws Error when the folder's records were made by others */
async function claim(folder: string, name: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, 'engine.json');
  if (existsSync(file)) {
    const { parts } = JSON.parse(await readFile(file, 'utf8')) as { parts?: unknown };
    if (parts !== name)
      throw new Error(`${folder} holds records of ${String(parts)}; those of ${name} need a folder of their own`);
    return;
  }
  await writeFileAtomic(file, `${JSON.stringify({ parts: name })}\n`);
}

/** Parts that never fail and need no batch: exact ones, of scenes whose truth is known. */
export function exactParts<P extends SubjectPair>(name: string, think: (pair: P) => XcotRecord): XcotParts<P> {
  const of =
    <T>(pick: (record: XcotRecord) => T): XcotPart<P, T> =>
    (pairs) =>
      Promise.resolve(pairs.map((pair) => ({ value: pick(think(pair)) })));
  return {
    name,
    extract: of(({ focus }) => focus),
    caption: of(({ caption }) => caption),
    plan: of(({ plan }) => plan),
  };
}
