#!/usr/bin/env node
import path from 'node:path';
import { run, shown, verdict } from './lib/notebook.mjs';

const files = {
  'here.ts': "import { fileURLToPath } from 'node:url';\nexport const here: string = fileURLToPath(import.meta.url);\n",
};
const source = "import { here } from './here';\nhere";
const { outputs, folder } = run([{ source, fails: true }, '1;\nimport.meta.url'], { files });
const [a, b] = outputs.map(shown);
verdict([
  ['import.meta.url in a local file is that file', a === `'${path.join(folder, 'here.ts')}'`, a.split('\n')[0]],
  ['in a cell it has a value, or the error has the line', /^'file:/.test(b) || /cell[ -]2:2\b/.test(b), b],
]);
