#!/usr/bin/env node
import { run, shown, verdict } from './lib/notebook.mjs';

const { outputs } = run([
  {
    source: "const lab = { steps: 3 };\nfunction help() { return 1; }\nthrow new Error('a later line fails');",
    fails: true,
  },
  '[lab.steps, help()]',
]);
verdict([
  ['names assigned before the error are there in the next cell', shown(outputs[1]) === '[ 3, 1 ]', shown(outputs[1])],
]);
