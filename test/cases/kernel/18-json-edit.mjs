#!/usr/bin/env node
import { run, shown, verdict } from './lib/notebook.mjs';

const { outputs } = run(
  [
    "import fs from 'node:fs';\nimport cfg from './cfg.json';\ncfg.lr",
    "fs.writeFileSync('cfg.json', '{\"lr\":0.2}');",
    "import cfg from './cfg.json';\ncfg.lr",
  ],
  { files: { 'cfg.json': '{"lr":0.1}' } },
);
verdict([
  [
    'an edited .json is read again, as an edited .ts is',
    shown(outputs[2]) === '0.2',
    `${shown(outputs[0])}, and after the edit ${shown(outputs[2])}`,
  ],
]);
