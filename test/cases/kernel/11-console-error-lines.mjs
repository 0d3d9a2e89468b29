#!/usr/bin/env node
import { run, shown, verdict } from './lib/notebook.mjs';

const { outputs } = run([
  "function bad() {\n  throw new Error('deep');\n}\n\ntry {\n  bad();\n} catch (e) {\n  console.error(e);\n}",
]);
const text = shown(outputs[0]);
verdict([
  ['a printed error names line 2, where it was thrown', /cell[ -]1:2\b/.test(text), text.split('\n')[1]],
  [
    'and has no frames of the kernel itself',
    !/kernel-ext|node:vm|tslab/.test(text),
    `${text.split('\n').filter((l) => /kernel-ext|node:vm|tslab/.test(l)).length} such frames`,
  ],
]);
