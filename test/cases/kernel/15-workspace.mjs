#!/usr/bin/env node
import { run, shown, verdict } from './lib/notebook.mjs';

const { outputs } = run(["import { libv } from '@w/lib';\nlibv"], {
  at: 'nb/case.ipynb',
  files: {
    'package.json': '{"name":"root","private":true,"workspaces":["packages/*"]}',
    'tsconfig.json': '{"compilerOptions":{"strict":true}}',
    'packages/lib/package.json': '{"name":"@w/lib","version":"1.0.0","main":"src/index.ts","types":"src/index.ts"}',
    'packages/lib/src/index.ts': "export const libv: string = 'lib1';\n",
  },
  links: { 'node_modules/@w/lib': '../../packages/lib' },
});
const text = shown(outputs[0]);
verdict([
  [
    'a workspace package written in TypeScript can be imported, or the error names its file',
    text === "'lib1'" || /packages\/lib\/src\/index\.ts/.test(text),
    text.split('\n')[0],
  ],
]);
