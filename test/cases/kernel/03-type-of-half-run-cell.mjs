#!/usr/bin/env node
import { run, shown, verdict } from './lib/notebook.mjs';

const { outputs } = run(["const q = 'str';", { source: 'const q = 5; throw 1', fails: true }, 'q.toFixed(1)']);
verdict([
  [
    'a name declared anew in a failing cell has its new type with its new value',
    shown(outputs[2]) === "'5.0'",
    shown(outputs[2]),
  ],
]);
