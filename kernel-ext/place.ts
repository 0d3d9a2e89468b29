/** Where the package stands on this machine; never derived from the working folder. */
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

const built = path.join(packageRoot, 'dist', 'src', 'index');
const source = path.join(packageRoot, 'src', 'index.ts');
const preferSource = Boolean(process.env.UNILAB_SOURCE);

/** What `import 'unilab'` runs: the compiled package where it was built, else its sources (`UNILAB_SOURCE=1` forces them). */
export function packageMain(): string {
  return !preferSource && existsSync(`${built}.js`) ? `${built}.js` : source;
}

/** What `import 'unilab'` is checked against: declaration files are much quicker to read than sources. */
export function packageTypes(): string {
  return !preferSource && existsSync(`${built}.d.ts`) ? `${built}.d.ts` : source;
}

/** The file behind `unilab/NAME`, or undefined. @param extensions tried in this order */
export function packageFile(specifier: string, extensions: readonly string[]): string | undefined {
  const inside = specifier.slice('unilab/'.length);
  const bases = preferSource ? [path.join(packageRoot, 'src')] : [path.dirname(built), path.join(packageRoot, 'src')];
  for (const base of bases) {
    for (const ending of extensions) {
      for (const file of [path.join(base, inside) + ending, path.join(base, inside, `index${ending}`)]) {
        if (existsSync(file)) return file;
      }
    }
  }
  return undefined;
}

/** Whether a file belongs to the package's own code, which cells neither compile nor check. */
export function isPackageCode(file: string): boolean {
  return ['src', 'dist', 'kernel-ext'].some((folder) => file.startsWith(path.join(packageRoot, folder) + path.sep));
}
