/** Where the package lies, from the sources as from the compiled files. */
import { existsSync } from 'node:fs';
import path from 'node:path';

/** The folder of UniLab's package.json. */
export function packageRoot(): string {
  let folder = __dirname;
  while (path.dirname(folder) !== folder) {
    if (existsSync(path.join(folder, 'package.json')) && path.basename(folder) !== 'dist') return folder;
    folder = path.dirname(folder);
  }
  throw new Error(`no package.json above ${__dirname}: UniLab's files were moved apart`);
}

/** A path inside the `data` folder that ships with the package. */
export function dataFolder(...parts: string[]): string {
  return path.join(packageRoot(), 'data', ...parts);
}
