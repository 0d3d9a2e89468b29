#!/usr/bin/env node
// SIGTERM to `unilab run` in the second cell; its temporary files go to a folder of their own (TMPDIR).
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { folderWith, notebookText, unilab, verdict } from './lib/notebook.mjs';

const folder = folderWith({
  'case.ipynb': notebookText([
    "console.log('an hour of training');",
    "setImmediate(() => require('fs').writeFileSync('begun', '')); await new Promise(r => setTimeout(r, 3600000))",
  ]),
});
const temp = path.join(folder, 'temp');
fs.mkdirSync(temp);
const child = spawn(unilab, ['run', 'case.ipynb', '--out', 'out.ipynb'], {
  cwd: folder,
  env: { ...process.env, TMPDIR: temp },
  stdio: 'ignore',
});
const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve(code ?? signal)));
for (let i = 0; i < 2400 && !fs.existsSync(path.join(folder, 'begun')); i++)
  await new Promise((r) => setTimeout(r, 50));
child.kill('SIGTERM');
const status = await ended;
const file = path.join(folder, 'out.ipynb');
const saved = fs.existsSync(file) && fs.readFileSync(file, 'utf8').includes('an hour of training');
const left = fs.readdirSync(temp).filter((name) => name.startsWith('unilab'));
verdict([
  ['what ran before the signal is in the notebook', saved, `exit ${status}, no notebook`],
  ['no temporary folder is left', left.length === 0, left.join(' ')],
]);
