#!/usr/bin/env node
/**
 * How quickly the kernel answers, beside plain tslab (the one it is built on) and ipykernel, through one client, in
 * turns within one run. Prints a table of medians and their ratios.
 *
 *   node bench/kernel/latency.mjs [--repeats 200] [--starts 5] [--json]
 *
 * ipykernel is looked for in .venv/lab (`make lab` or `make interop` put it there) or where UNILAB_JUPYTER_VENV says;
 * without it the other two are measured alone. Run `make build` before: the compiled kernel is what people use. Where
 * NODE_EXTRA_CA_CERTS is set, every start of Node.js reads those certificates first, which can take 40 ms.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const require = createRequire(import.meta.url);
process.env.TS_NODE_PROJECT ??= path.join(root, 'tsconfig.json');
require('ts-node/register/transpile-only');
const { KernelClient } = require('../../kernel-ext/protocol/client.ts');
const { kernelSpec } = require('../../kernel-ext/process/kernelspec.ts');

const { values: options } = parseArgs({
  options: {
    repeats: { type: 'string', default: '200' },
    starts: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});
const [repeats, starts] = [Number(options.repeats), Number(options.starts)];
if (!(repeats >= 1) || !(starts >= 1)) throw new RangeError('--repeats and --starts need whole numbers from 1');

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function kernels() {
  const python = path.join(process.env.UNILAB_JUPYTER_VENV ?? path.join(root, '.venv', 'lab'), 'bin', 'python');
  const tslab = path.join(root, 'node_modules', 'tslab', 'bin', 'tslab');
  const found = [
    { name: 'unilab', argv: kernelSpec().argv },
    { name: 'tslab', argv: [process.execPath, tslab, 'kernel', '--config-path', '{connection_file}'] },
  ];
  const there = fs.existsSync(python) && spawnSync(python, ['-c', 'import ipykernel']).status === 0;
  if (there) found.push({ name: 'ipykernel', argv: [python, '-m', 'ipykernel_launcher', '-f', '{connection_file}'] });
  else console.error('ipykernel is not measured: there is none in .venv/lab (`make interop` puts it there)');
  return found;
}

const cwd = fs.mkdtempSync(path.join(os.tmpdir(), 'unilab-latency-'));
/** Longest wait for a kernel's first answer, in milliseconds; plain tslab sometimes never gives one. */
const startPatience = 30_000;
const lostStarts = {};

/** Starts a kernel, anew where it does not answer. @returns the client, and the milliseconds that the last start took */
async function start({ name, argv }, tries = 4) {
  const begun = performance.now();
  const env = { UNILAB_HISTORY: 'off' };
  try {
    const client = await KernelClient.start({
      argv,
      cwd,
      stderr: 'ignore',
      transport: 'tcp',
      timeout: startPatience,
      env,
    });
    return { client, took: performance.now() - begun };
  } catch (error) {
    if (tries === 1) throw error;
    lostStarts[name] = (lostStarts[name] ?? 0) + 1;
    return start({ name, argv }, tries - 1);
  }
}

/** Longest wait for a reply and its idle, in milliseconds; plain tslab loses some. */
const patience = 20_000;
const lost = {};

/** Waits for the reply and for idle. @returns the reply, or nothing where one of them did not come */
async function answered(name, request) {
  let alarm;
  const late = new Promise((resolve) => (alarm = setTimeout(() => resolve(undefined), patience)));
  const both = Promise.all([request.reply, request.idle]).then(([reply]) => reply);
  const reply = await Promise.race([both, late]);
  clearTimeout(alarm);
  if (!reply) lost[name] = (lost[name] ?? 0) + 1;
  return reply;
}

/** Runs code until the kernel has replied and is idle again. @returns milliseconds, or nothing */
async function run(name, client, code) {
  const begun = performance.now();
  const reply = await answered(name, client.execute(code));
  const took = performance.now() - begun;
  if (reply && reply.content.status !== 'ok')
    throw new Error(`${code}: ${reply.content.ename}: ${reply.content.evalue}`);
  return reply && took;
}

async function info(name, client) {
  const begun = performance.now();
  const reply = await answered(name, client.request('kernel_info_request', {}));
  return reply && performance.now() - begun;
}

async function main() {
  const found = kernels();
  const times = Object.fromEntries(found.map(({ name }) => [name, {}]));
  const note = (name, what, value) => value !== undefined && (times[name][what] ??= []).push(value);
  for (let i = 0; i < starts; i++) {
    for (const kernel of found) {
      const { client, took: started } = await start(kernel);
      const first = await run(kernel.name, client, '1+1');
      note(kernel.name, 'start', started);
      note(kernel.name, 'first cell', first);
      note(kernel.name, 'both', first && started + first);
      await client.shutdown();
    }
  }
  const clients = new Map();
  for (const kernel of found) clients.set(kernel.name, (await start(kernel)).client);
  const { client: imported } = await start(found[0]);
  await run('unilab', imported, "import * as unilab from 'unilab';");
  await run('unilab', imported, 'unilab.imageGrid.length');
  // Compilers need some cells until their own code is hot.
  for (let i = 0; i < 20; i++) for (const [name, client] of clients) await run(name, client, '1+1');
  for (let i = 0; i < repeats; i++) {
    // Every other round goes backwards, so that none always runs after the same neighbor.
    const order = i % 2 ? [...clients].reverse() : [...clients];
    for (const [name, client] of order) {
      note(name, '1+1', await run(name, client, '1+1'));
      note(name, 'kernel_info', await info(name, client));
    }
    note('unilab', 'after import', await run('unilab', imported, `new unilab.Rng(${i}).uniform() < 2`));
  }
  for (const client of [...clients.values(), imported]) await client.shutdown();
  const rows = [
    ['start until kernel_info is answered', 'start', starts],
    ['first `1+1` after the start', 'first cell', starts],
    ['start and first cell together', 'both', starts],
    ['kernel_info', 'kernel_info', repeats],
    ['`1+1`', '1+1', repeats],
    ['a cell after `import * as unilab`', 'after import', repeats],
  ].map(([title, key, runs]) => {
    const medians = found.map(({ name }) => (times[name][key] ? median(times[name][key]) : undefined));
    return { title, key, runs, medians: Object.fromEntries(found.map(({ name }, i) => [name, medians[i]])) };
  });
  if (options.json) {
    console.log(
      JSON.stringify({ node: process.version, cores: os.availableParallelism(), lost, lostStarts, rows }, null, 2),
    );
    return;
  }
  const others = found.slice(1).map(({ name }) => name);
  const cells = (row) => [
    row.title,
    String(row.runs),
    ...found.map(({ name }) => (row.medians[name] === undefined ? '-' : `${row.medians[name].toFixed(1)} ms`)),
    ...others.map((name) => (row.medians[name] ? (row.medians.unilab / row.medians[name]).toFixed(2) : '-')),
  ];
  const head = ['median of', 'runs', ...found.map(({ name }) => name), ...others.map((name) => `unilab / ${name}`)];
  const lines = [head, head.map(() => '---'), ...rows.map(cells)];
  const widths = head.map((_, c) => Math.max(...lines.map((line) => line[c].length)));
  for (const line of lines) console.log(`| ${line.map((text, c) => text.padEnd(widths[c])).join(' | ')} |`);
  console.log(`\nNode.js ${process.version}, ${os.availableParallelism()} cores, load ${os.loadavg()[0].toFixed(1)}`);
  for (const [name, count] of Object.entries(lost))
    console.log(`${name}: ${count} requests without a reply or an idle within ${patience / 1000} s, not counted`);
  for (const [name, count] of Object.entries(lostStarts))
    console.log(`${name}: ${count} starts without an answer within ${startPatience / 1000} s, not counted`);
}

try {
  await main();
} finally {
  fs.rmSync(cwd, { recursive: true, force: true });
}
