#!/usr/bin/env node
import { run, shown, verdict } from './lib/notebook.mjs';

const { outputs, folder } = run(["import path from 'node:path';\nconst __dirname = path.resolve('.');\n__dirname"]);
verdict([
  ['a name with two leading underscores can be declared', shown(outputs[0]) === `'${folder}'`, shown(outputs[0])],
]);
