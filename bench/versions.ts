/** Which state of the project a measurement is of. */
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { packageRoot } from '../src/io/package-root';

/** The package's version, Node's, and the commit where there is one: with `+` when files differ from it. */
export async function benchVersions(): Promise<Record<string, string>> {
  const file = path.join(packageRoot(), 'package.json');
  const { version } = JSON.parse(await readFile(file, 'utf8')) as { version: string };
  const git = spawnSync('git', ['describe', '--always', '--dirty=+', '--abbrev=10'], {
    cwd: packageRoot(),
    encoding: 'utf8',
  });
  const commit: Record<string, string> = git.status === 0 ? { commit: git.stdout.trim() } : {};
  return { unilab: version, ...commit, node: process.versions.node };
}
