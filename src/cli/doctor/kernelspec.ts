/** Finding an installed Jupyter kernel the way Jupyter does. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** The folders that Jupyter searches for `kernels/`, best first, as far as they are known without starting Python. */
export function jupyterDataPaths(env: NodeJS.ProcessEnv = process.env): string[] {
  const home = os.homedir();
  const user =
    env.JUPYTER_DATA_DIR ??
    (process.platform === 'darwin'
      ? path.join(home, 'Library', 'Jupyter')
      : process.platform === 'win32'
        ? path.join(env.APPDATA ?? home, 'jupyter')
        : path.join(env.XDG_DATA_HOME ?? path.join(home, '.local', 'share'), 'jupyter'));
  const search = (env.PATH ?? '').split(path.delimiter).filter(Boolean);
  // A Python's prefix is the folder above its bin; jupyter-lab's Python may be another than the first one in PATH.
  const prefixes = ['jupyter-lab', 'jupyter', 'python3']
    .flatMap((program) => search.map((folder) => path.join(folder, program)).filter((file) => fs.existsSync(file)))
    .flatMap((file) => [file, fs.realpathSync(file)])
    .map((file) => path.dirname(path.dirname(file)));
  const all = [
    ...(env.JUPYTER_PATH ?? '').split(path.delimiter).filter(Boolean),
    user,
    ...[env.VIRTUAL_ENV, env.CONDA_PREFIX, ...prefixes].flatMap((prefix) =>
      prefix ? [path.join(prefix, 'share', 'jupyter')] : [],
    ),
    '/usr/local/share/jupyter',
    '/usr/share/jupyter',
  ];
  return [...new Set(all)];
}

/** @returns the folder of the kernelspec, or undefined when it is not installed */
export function findKernelspec(name: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  return jupyterDataPaths(env)
    .map((folder) => path.join(folder, 'kernels', name))
    .find((folder) => fs.existsSync(path.join(folder, 'kernel.json')));
}
