#!/usr/bin/env node
import { run, shown, verdict } from './lib/notebook.mjs';

const { outputs } = run([
  "class Sample { get [Symbol.toStringTag](): string { throw new Error('tag'); } }\nnew Sample()",
]);
verdict([
  [
    'a value that cannot be looked at shows something: its error, or a plain form',
    shown(outputs[0]) !== '',
    'the cell fails and its outputs are empty',
  ],
]);
