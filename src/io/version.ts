/** Which state of the project something was made by. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from './package-root';

/** The package's version; in a clone with its commit, `0.1.0+3fe44c94a9`, and `-dirty` with changes that are not committed. */
export function projectVersion(): string {
  const root = packageRoot();
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string };
  if (!existsSync(path.join(root, '.git'))) return version;
  const args = ['-C', root, 'describe', '--always', '--exclude=*', '--dirty', '--abbrev=10'];
  try {
    return `${version}+${execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()}`;
  } catch {
    return version; // without git, or in a folder that it does not trust
  }
}
