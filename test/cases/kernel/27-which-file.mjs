#!/usr/bin/env node
import { run, shown, verdict } from './lib/notebook.mjs';

const files = { 'lib.js': 'exports.a = 1;\nexports.b = ;\n', 'throws.js': "throw new Error('at load');\n" };
const cells = ["const lib = require('./lib.js');", "import './throws';"].map((source) => ({ source, fails: true }));
const [a, b] = run(cells, { files }).outputs.map(shown);
verdict([
  ['a syntax error in lib.js names lib.js and its line', /lib\.js:2/.test(a), a.split('\n')[0]],
  [
    'an error in throws.js is said to be in throws.js',
    /throws\.js/.test(b) && !/throws\.ts/.test(b),
    b.match(/throws\.\w+\S*/)?.[0],
  ],
]);
