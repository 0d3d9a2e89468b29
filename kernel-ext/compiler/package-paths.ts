/** Paths of this package on this machine. They do not depend on the working folder. */
import { existsSync } from 'node:fs';
import path from 'node:path';

/** The package's folder: the nearest one above this file with the package's own package.json. */
export const packageRoot = findRoot(__dirname);

function findRoot(start: string): string {
  for (let folder = start; ; folder = path.dirname(folder)) {
    const inPackage = path.basename(folder) !== 'dist' && existsSync(path.join(folder, 'package.json'));
    if (inPackage) return folder;
    if (path.dirname(folder) === folder) throw new Error(`the unilab package's folder was not found above ${start}`);
  }
}

/** Whether this is the compiled package; then its cells get the compiled package, too, else its sources. */
const compiled = __dirname.startsWith(path.join(packageRoot, 'dist') + path.sep);
const codeFolder = compiled ? path.join(packageRoot, 'dist', 'src') : path.join(packageRoot, 'src');

/** What `import 'unilab'` runs. */
export function packageMain(): string {
  return path.join(codeFolder, compiled ? 'index.js' : 'index.ts');
}

/** What `import 'unilab'` is checked against: declaration files are much quicker to read than sources. */
export function packageTypes(): string {
  return path.join(codeFolder, compiled ? 'index.d.ts' : 'index.ts');
}

/** The file behind `unilab/NAME`, or undefined. @param extensions tried in this order */
export function packageFile(specifier: string, extensions: readonly string[]): string | undefined {
  const base = path.join(codeFolder, specifier.slice('unilab/'.length));
  return extensions
    .flatMap((ending) => [base + ending, path.join(base, `index${ending}`)])
    .find((file) => existsSync(file));
}

/** Whether a file belongs to the package's own code, which cells neither compile nor check. */
export function isPackageCode(file: string): boolean {
  return ['src', 'dist', 'kernel-ext'].some((folder) => file.startsWith(path.join(packageRoot, folder) + path.sep));
}
