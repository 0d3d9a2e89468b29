#!/usr/bin/env node
import { run, shown, verdict } from './lib/notebook.mjs';

const files = {
  't.ts': "export const top: string = await Promise.resolve('tla');\n",
  'e.mjs': "export const top = await Promise.resolve('tla');\n",
};
const names = ['./t', './e.mjs'];
const { outputs } = run(
  names.map((name) => ({ source: `// @ts-nocheck\nimport { top } from '${name}';\ntop`, fails: true })),
  { files },
);
verdict(
  names.map((name, i) => {
    const text = shown(outputs[i]);
    return [`a local file that awaits at its top can be imported: ${name}`, text === "'tla'", text.split('\n')[0]];
  }),
);
