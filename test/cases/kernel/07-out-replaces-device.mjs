#!/usr/bin/env node
// A named pipe stands for any target that is no regular file. With /dev/null and root the machine is broken: never try that.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { folderWith, notebookText, unilab, verdict } from './lib/notebook.mjs';

const folder = folderWith({ 'case.ipynb': notebookText(['1+1']) });
const pipe = path.join(folder, 'pipe');
spawnSync('mkfifo', [pipe]);
const reader = spawn('cat', [pipe], { stdio: 'ignore' });
spawnSync(unilab, ['run', 'case.ipynb', '--out', pipe], { cwd: folder, timeout: 280000 });
const still = fs.statSync(pipe).isFIFO();
reader.kill();
verdict([
  [
    '--out on a pipe or device leaves it what it is (written through, or refused)',
    still,
    'a regular file was put in its place',
  ],
]);
