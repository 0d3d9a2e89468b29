#!/usr/bin/env node
import { run, shown, verdict } from './lib/notebook.mjs';

const files = {
  'tsconfig.json': '{"compilerOptions":{"strict":true,"jsx":"react","jsxFactory":"h"}}',
  'view.tsx':
    'const h = (t: any, p: any, ...c: any[]) => ({ t, p, c });\ndeclare global { namespace JSX { interface IntrinsicElements { [k: string]: any } } }\nexport const View = (p: { n: number }) => <div>{p.n}</div>;\n',
  'mod.mts': "export const mts: string = 'mts1';\n",
  'com.cts': "export const cts: string = 'cts1';\n",
};
const cases = [
  ["import { View } from './view';\nView({ n: 3 }).t", "'div'", '.tsx'],
  ["import { mts } from './mod.mjs';\nmts", "'mts1'", '.mts'],
  ["import { cts } from './com.cjs';\ncts", "'cts1'", '.cts'],
];
const { outputs } = run(
  cases.map(([source]) => ({ source, fails: true })),
  { files },
);
verdict(
  cases.map(([, expected, name], i) => {
    const text = shown(outputs[i]);
    return [`a local ${name} file can be imported`, text === expected, text.split('\n')[0]];
  }),
);
