#!/usr/bin/env node
import { run, verdict } from './lib/notebook.mjs';

const { status, outputs } = run([
  "({ [Symbol.for('Jupyter.display')]: () => ({ 'image/png': Buffer.from('iVBORw0KGgo=', 'base64'), 'text/plain': 'image' }) })",
]);
const png = outputs[0]?.[0]?.data?.['image/png'];
const text = Array.isArray(png) ? png.join('') : png;
verdict([
  [
    'bytes in a display bundle become base64, or are refused',
    status !== 0 || (typeof text === 'string' && text.trim() === 'iVBORw0KGgo='),
    `exit ${status}, saved as ${JSON.stringify(png)}: no valid notebook`,
  ],
]);
