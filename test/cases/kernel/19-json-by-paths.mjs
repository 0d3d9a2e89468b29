#!/usr/bin/env node
import { run, shown, verdict } from './lib/notebook.mjs';

const { outputs } = run(["import cfg from '@cfg';\ncfg.lr"], {
  at: 'nb/case.ipynb',
  files: {
    'cfg.json': '{"lr":0.1}',
    'tsconfig.json': '{"compilerOptions":{"strict":true,"resolveJsonModule":true,"paths":{"@cfg":["./cfg.json"]}}}',
  },
});
verdict([
  [
    "JSON by tsconfig's paths is found when it runs, too",
    shown(outputs[0]) === '0.1',
    shown(outputs[0]).split('\n')[0],
  ],
]);
