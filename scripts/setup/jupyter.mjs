#!/usr/bin/env node
/**
 * JupyterLab, the clients that the kernel is tested with, and TensorBoard, in a Python environment of the project (.venv/lab). Done
 * once; done anew when the list below changes. UNILAB_JUPYTER_VENV names an environment that is there already.
 *
 *   node scripts/setup/jupyter.mjs [--optional]     with --optional, what is missing is said and is no error
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** JupyterLab for people; the others are what the kernel is compared with and tested by. */
const PACKAGES = [
  'jupyterlab==4.6.6',
  'ipykernel==7.4.0',
  'nbclient==0.11.0',
  'nbconvert==7.17.2',
  'jupyter_kernel_test==0.7.0',
  'papermill==2.7.0',
  'tensorboard==2.21.0', // reads the event files of runs
  'anywidget==0.11.0', // shows widgets, with the next one
  'jupyterlab_widgets==3.0.17',
];

/** @returns why it did not work, or undefined */
function install(folder) {
  const stamp = path.join(folder, '.ready');
  const wanted = PACKAGES.join('\n');
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === wanted) return undefined;
  const python = process.env.PYTHON ?? 'python3';
  const steps = [
    [
      python,
      ['-m', 'venv', folder],
      `${python} cannot make virtual environments (on Debian: apt-get install python3-venv)`,
    ],
    [
      path.join(folder, 'bin', 'pip'),
      ['install', '--quiet', '--disable-pip-version-check', ...PACKAGES],
      'its Python packages could not be installed',
    ],
  ];
  for (const [program, args, reason] of steps) {
    const { status, error, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    const last =
      error?.message ??
      stderr
        ?.trim()
        .split('\n')
        .findLast((line) => /error/i.test(line));
    if (status !== 0) return last ? `${reason}: ${last}` : reason;
  }
  fs.writeFileSync(stamp, wanted);
  return undefined;
}

const optional = process.argv.includes('--optional');
const given = process.env.UNILAB_JUPYTER_VENV;
if (given === undefined) {
  const reason = install(path.join(root, '.venv', 'lab'));
  if (reason) {
    console.error(
      `JupyterLab is not there, ${reason}.${optional ? ' Tests with real Jupyter clients are skipped.' : ''}`,
    );
    process.exitCode = optional ? 0 : 1;
  }
} else if (!fs.existsSync(path.join(given, 'bin', 'jupyter-lab'))) {
  console.error(`UNILAB_JUPYTER_VENV names ${given}, where there is no bin/jupyter-lab.`);
  process.exitCode = optional ? 0 : 1;
}
