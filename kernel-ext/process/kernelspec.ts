/** The kernelspec `unilab`: how Jupyter clients find and start the kernel. */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { packageRoot } from '../compiler/package-paths';

/** The name by which notebooks ask for the kernel. */
export const kernelName = 'unilab';

/** A kernel.json. */
export interface KernelSpec {
  readonly argv: readonly string[];
  readonly display_name: string;
  readonly language: string;
  readonly interrupt_mode: 'signal' | 'message';
  readonly env?: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** The kernel of this copy of the package, run by the Node.js that runs now. */
export function kernelSpec(): KernelSpec {
  return {
    argv: [process.execPath, path.join(packageRoot, 'bin', 'unilab'), 'kernel', 'start', '{connection_file}'],
    display_name: 'TypeScript (UniLab)',
    language: 'typescript',
    interrupt_mode: 'signal',
    metadata: { debugger: true },
  };
}

/** Jupyter's folder of a person's own data, as jupyter_core finds it. */
export function userDataFolder(): string {
  const { JUPYTER_DATA_DIR, APPDATA, XDG_DATA_HOME } = process.env;
  if (JUPYTER_DATA_DIR) return JUPYTER_DATA_DIR;
  if (process.platform === 'darwin') return path.join(homedir(), 'Library', 'Jupyter');
  if (process.platform === 'win32') return path.join(APPDATA ?? homedir(), 'jupyter');
  return path.join(XDG_DATA_HOME ?? path.join(homedir(), '.local', 'share'), 'jupyter');
}

/** The kernelspec's folder. @param prefix like `/usr/local` or a virtual environment; default: the person's own data */
export function specFolder(prefix?: string): string {
  const data = prefix === undefined ? userDataFolder() : path.join(path.resolve(prefix), 'share', 'jupyter');
  return path.join(data, 'kernels', kernelName);
}

const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="10" fill="#3178c6"/><path d="M14 16v20a12 12 0 0 0 24 0V16" fill="none" stroke="#fff" stroke-width="7"/><path d="M49 16v36" stroke="#fff" stroke-width="7"/></svg>
`;

/**
 * Writes the kernelspec, over an earlier one.
 * @returns its folder
 * @throws Error when the folder cannot be written
 */
export async function installSpec(prefix?: string): Promise<string> {
  const folder = specFolder(prefix);
  // Loaded here only: every start of the kernel passes this file.
  const { writeFileAtomic } = require('../../src/io/write-file') as typeof import('../../src/io/write-file');
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw new Error(
      `the kernelspec folder ${folder} cannot be written (${(error as Error).message}); --user or --prefix DIR choose another place`,
    );
  }
  await writeFileAtomic(path.join(folder, 'logo-svg.svg'), logo);
  await writeFileAtomic(path.join(folder, 'kernel.json'), `${JSON.stringify(kernelSpec(), null, 2)}\n`);
  return folder;
}

/** Removes the kernelspec. @returns whether there was one */
export function uninstallSpec(prefix?: string): boolean {
  const folder = specFolder(prefix);
  const there = existsSync(path.join(folder, 'kernel.json'));
  if (there) rmSync(folder, { recursive: true });
  return there;
}

/** The installed kernelspec, or undefined. */
export function installedSpec(prefix?: string): KernelSpec | undefined {
  const file = path.join(specFolder(prefix), 'kernel.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as KernelSpec) : undefined;
}
