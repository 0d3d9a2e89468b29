#!/usr/bin/env node
/**
 * The whole check: formatting, lint, types, who may import whom (side by side with each other), then every test under
 * test/ with Node's runner, whose summary closes the output. All are run even when one fails.
 *
 *   node scripts/setup/test.mjs [FILE...]     with files: only these tests, no other checks
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const packages = path.join(root, 'node_modules');

/** Each with its real entry file: names in node_modules/.bin may belong to another package's copy. */
const CHECKS = [
  { name: 'lint (eslint)', args: ['eslint/bin/eslint.js', '.'] },
  { name: 'types (tsc)', args: ['typescript/bin/tsc', '-p', 'tsconfig.test.json', '--pretty', 'false'] },
  {
    name: 'who imports whom (dependency-cruiser)',
    args: [
      'dependency-cruiser/bin/dependency-cruise.mjs',
      '--config',
      '.dependency-cruiser.cjs',
      'src',
      'kernel-ext',
      'test',
      'scripts',
      'bench',
    ],
  },
  { name: 'formatting (prettier)', args: ['prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'] },
];

/** Runs Node on a program. @returns its exit status and, unless shown, what it printed */
function run(args, { show = false, env = process.env } = {}) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: show ? 'inherit' : 'pipe' });
    let output = '';
    child.stdout?.on('data', (piece) => (output += piece));
    child.stderr?.on('data', (piece) => (output += piece));
    child.on('error', (error) => resolve({ status: 1, output: error.message }));
    child.on('close', (status) => resolve({ status: status ?? 1, output }));
  });
}

/** Takes the checks one after the other; several of these run side by side. */
async function worker(queue, failed) {
  for (let check = queue.shift(); check; check = queue.shift()) {
    const started = Date.now();
    const [program, ...args] = check.args;
    const { status, output } = await run([path.join(packages, program), ...args]);
    if (status !== 0) failed.push(check.name);
    if (status !== 0 && output.trim()) console.log(output.trimEnd());
    console.log(
      `== ${check.name}: ${status === 0 ? 'ok' : 'FAILED'} (${((Date.now() - started) / 1000).toFixed(0)} s)`,
    );
  }
}

/** Those that take longest, the longest first: begun last, one of them would run while the other place is empty. */
const LONGEST = [
  'notebooks/notebooks',
  'interop/clients',
  'interop/lab',
  'io/kills',
  'cases/rl',
  'cases/kernel',
  'cli/run-stop',
  'kernel-ext/endurance',
  'kernel-ext/session',
  'cli/bench',
  'engine/traced-runs',
  'results/figure-numbers',
  'docs/extending',
  'parity/parity',
  'eval/suites',
  'kernel-ext/interrupts',
].map((name) => path.join(root, 'test', `${name}.test.ts`));

/** The longest first, all others in the order of their names. */
function longestFirst(files) {
  const first = LONGEST.filter((file) => files.includes(file));
  return [...first, ...files.filter((file) => !first.includes(file))];
}

function testFiles(folder) {
  return fs
    .readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const at = path.join(folder, entry.name);
      if (entry.isDirectory()) return testFiles(at);
      return entry.name.endsWith('.test.ts') ? [at] : [];
    });
}

async function main() {
  const began = Date.now();
  const chosen = process.argv.slice(2);
  const failed = [];
  if (chosen.length === 0) {
    const queue = [...CHECKS];
    await Promise.all(Array.from({ length: Math.min(2, os.cpus().length) }, () => worker(queue, failed)));
    await run([path.join(root, 'scripts/setup/jupyter.mjs'), '--optional'], { show: true });
  }
  const files = chosen.length > 0 ? chosen : longestFirst(testFiles(path.join(root, 'test')));
  console.log(`== tests: ${files.length} files`);
  // Two files at a time: each keeps more than one core busy only now and then.
  const options = [
    '--require',
    'ts-node/register/transpile-only',
    '--test',
    '--test-concurrency=2',
    '--test-timeout=900000',
  ];
  const env = { ...process.env, TS_NODE_PROJECT: path.join(root, 'tsconfig.json') };
  const { status } = await run([...options, '--test-reporter=spec', ...files], { show: true, env });
  if (status !== 0) failed.push('tests');
  const took = ((Date.now() - began) / 1000).toFixed(0);
  if (failed.length > 0) console.log(`== FAILED: ${failed.join('; ')} (${took} s in all)`);
  return failed.length === 0 ? 0 : 1;
}

process.exitCode = await main();
