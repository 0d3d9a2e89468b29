#!/usr/bin/env node
// A disk that is full in the middle of a write: here a limit on the size of a file (no root needed). The system then
// writes a part and says how much, as it does on a full disk; only the next write fails.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { folderWith, notebookText, unilab, verdict } from './lib/notebook.mjs';

const text = notebookText(["console.log('x'.repeat(1000000))"]);
const folder = folderWith({ 'mine.ipynb': text });
const script = `ulimit -f 200; exec "${unilab}" run mine.ipynb --out mine.ipynb`;
const preload = fileURLToPath(new URL('./lib/full-disk.cjs', import.meta.url));
const env = { ...process.env, NODE_OPTIONS: `--require "${preload}"` };
const { status, stdout, stderr } = spawnSync('bash', ['-c', script], {
  cwd: folder,
  encoding: 'utf8',
  env,
  timeout: 280000,
});
const left = fs.readFileSync(path.join(folder, 'mine.ipynb'), 'utf8');
verdict([
  [
    'the notebook that could not be saved is as it was',
    left === text,
    `${left.length} bytes of broken JSON in its place`,
  ],
  ['the run fails', status === 1, `exit ${status}: ${`${stdout}${stderr}`.trim().split('\n').at(-1)}`],
]);
