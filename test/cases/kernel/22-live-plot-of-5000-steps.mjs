#!/usr/bin/env node
// The same loop of 30 steps of 50 ms without a plot and with one of 5,000 x 5 points, in one run.
import { run, shown, verdict } from './lib/notebook.mjs';

const { outputs } = run([
  `import * as unilab from 'unilab';
const names = ['a', 'b', 'c', 'd', 'e'];
const row = (step: number) => Object.fromEntries([['step', step], ...names.map((m, j) => [m, Math.sin(step / 30 + j)])]) as Record<string, number>;
const loop = async (each: (i: number) => void) => {
  const begun = performance.now();
  for (let i = 5000; i < 5030; i++) { each(i); await new Promise(r => setTimeout(r, 50)); }
  return (performance.now() - begun) / 1000;
};
const bare = await loop(() => 0);
const plot = unilab.livePlot({ metrics: names });
for (let i = 0; i < 5000; i++) plot.push(row(i));
const plotted = await loop(i => plot.push(row(i)));
await plot.done();
console.log('seconds', bare.toFixed(1), plotted.toFixed(1));`,
]);
const [, bare, plotted] = shown(outputs[0]).match(/seconds ([\d.]+) ([\d.]+)/) ?? [];
verdict([
  [
    'a live plot of 5,000 steps adds at most half to a loop of 50 ms a step',
    plotted <= 1.5 * bare,
    bare ? `${bare} s without a plot, ${plotted} s with it` : shown(outputs[0]),
  ],
]);
