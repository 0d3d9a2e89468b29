/** The checks of reference numbers: every folder of fixtures, case by case. */
import { readFile, readdir, stat } from 'node:fs/promises';
import * as path from 'node:path';
import { type Check, holds } from './check';
import { handlerOf, kinds } from './handlers';

export { type Check, line } from './check';
export { kinds } from './handlers';

/**
 * All checks of a folder, or of the folders in it when it has no case file. What goes wrong is a failed check.
 * The engine must run, in float32 precision for the tolerances to hold.
 */
export async function* checkFolder(folder: string): AsyncGenerator<Check, void, undefined> {
  const own = path.basename(path.resolve(folder));
  const info = await stat(folder).catch(() => undefined);
  if (!info?.isDirectory()) {
    yield holds(folder, 'folder', false, 'there is no such folder');
    return;
  }
  const names = (await readdir(folder)).sort();
  const cases = names.filter((name) => /^case.*\.json$/.test(name));
  if (cases.length === 0) {
    let found = false;
    for (const name of names) {
      const inner = path.join(folder, name);
      if (!(await stat(inner)).isDirectory() || !(await hasCases(inner))) continue;
      found = true;
      yield* checkFolder(inner);
    }
    if (!found) yield holds(own, 'fixtures', false, `${folder} holds no case.json, nor do folders in it`);
  }
  for (const name of cases)
    yield* prefixed(`${own}/${name.replace(/^case_?|\.json$/g, '')}`.replace(/\/$/, ''), checkCase(folder, name));
}

async function* checkCase(folder: string, file: string): AsyncGenerator<Check, void, undefined> {
  try {
    const description = JSON.parse(await readFile(path.join(folder, file), 'utf8')) as Record<string, unknown>;
    const kind = await kindOf(folder, description);
    const handler = handlerOf(kind);
    if (!handler) {
      yield holds(kind, 'kind', false, `nothing checks fixtures of this kind; there are ${kinds.join(', ')}`);
      return;
    }
    yield* handler(folder, description);
  } catch (error) {
    if (process.env.UNILAB_DEBUG && error instanceof Error) console.error(error.stack);
    yield holds(file, 'runs through', false, error instanceof Error ? error.message : String(error));
  }
}

/** What the case file says; else the README's title; else the folder's name. */
async function kindOf(folder: string, description: Record<string, unknown>): Promise<string> {
  if (typeof description.kind === 'string') return description.kind;
  const readme = await readFile(path.join(folder, 'README.md'), 'utf8').catch(() => '');
  const title = /^#\s*(\S+)/.exec(readme)?.[1];
  if (title && kinds.includes(title)) return title;
  const own = path.basename(path.resolve(folder));
  const starts = kinds.filter((kind) => own.startsWith(kind)).sort((a, b) => b.length - a.length);
  return starts[0] ?? own;
}

async function hasCases(folder: string): Promise<boolean> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (/^case.*\.json$/.test(entry.name)) return true;
    if (entry.isDirectory() && (await hasCases(path.join(folder, entry.name)))) return true;
  }
  return false;
}

async function* prefixed(prefix: string, checks: AsyncIterable<Check>): AsyncGenerator<Check, void, undefined> {
  for await (const check of checks) yield { ...check, name: `${prefix} ${check.name}` };
}
