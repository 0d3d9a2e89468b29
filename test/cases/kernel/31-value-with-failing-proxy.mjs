#!/usr/bin/env node
import { run, shown, verdict } from './lib/notebook.mjs';

const { status, outputs } = run(["new Proxy({}, { get() { throw new Error('trap'); } })"]);
verdict([
  ['a value whose properties cannot be read does not fail its cell', status === 0, shown(outputs[0]).split('\n')[0]],
]);
