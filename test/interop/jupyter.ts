/** The real Jupyter clients: where they are, and a world of their own for each test file. */
import { execFileSync, spawn, type SpawnOptions } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export const root = path.resolve(__dirname, '../..');
/** What is kept to be looked at. */
export const out = path.join(root, 'out', 'interop');

const venv = process.env.UNILAB_JUPYTER_VENV ?? path.join(root, '.venv', 'lab');

/** Why the Jupyter clients cannot be used; undefined where they can. */
export const noJupyter = existsSync(path.join(venv, 'bin', 'jupyter-lab'))
  ? undefined
  : `there is no JupyterLab in ${path.relative(root, venv)}; \`make interop\` installs it where Python 3 and its packages can be had`;

const missing = ['anywidget', '@jupyter-widgets/jupyterlab-manager'].filter(
  (name) => !existsSync(path.join(venv, 'share/jupyter/labextensions', name)),
);
/** Why JupyterLab shows no widgets; undefined where it does. */
export const noWidgets =
  missing.length === 0
    ? undefined
    : `JupyterLab in ${path.relative(root, venv)} has no ${missing.join(' and no ')}; \`make interop\` installs what is missing`;

/** A program of the Python environment. */
export function program(name: string): string {
  return path.join(venv, 'bin', name);
}

/** What a finished process left. */
export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export function finished(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<Finished> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr?.on('data', (text: Buffer) => (stderr += text.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}

/** Jupyter's folders, none of them a person's own, with our kernel installed by the command. */
export class JupyterWorld {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'unilab-jupyter-'));
  readonly env: NodeJS.ProcessEnv;

  constructor() {
    const at = (name: string): string => path.join(this.folder, name);
    execFileSync(process.execPath, [path.join(root, 'bin/unilab'), 'kernel', 'install', '--prefix', at('prefix')]);
    mkdirSync(out, { recursive: true });
    this.env = {
      ...process.env,
      JUPYTER_PATH: at('prefix/share/jupyter'),
      JUPYTER_CONFIG_DIR: at('config'),
      JUPYTER_DATA_DIR: at('data'),
      JUPYTER_RUNTIME_DIR: at('runtime'),
      JUPYTERLAB_SETTINGS_DIR: at('settings'),
      JUPYTERLAB_WORKSPACES_DIR: at('workspaces'),
      IPYTHONDIR: at('ipython'),
      UNILAB_HISTORY: at('history.jsonl'),
      PYTHONDONTWRITEBYTECODE: '1',
    };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
