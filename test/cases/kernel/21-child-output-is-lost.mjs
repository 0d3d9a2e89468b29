#!/usr/bin/env node
import { run, shown, verdict } from './lib/notebook.mjs';

const { outputs } = run([
  "import { spawnSync } from 'node:child_process';\nspawnSync('sh', ['-c', 'echo child-says'], { stdio: 'inherit' }).status",
]);
verdict([
  [
    'what a child process with inherited stdio prints is in the notebook',
    /child-says/.test(shown(outputs[0])),
    `the cell shows only ${shown(outputs[0])}`,
  ],
]);
