#!/usr/bin/env node
/**
 * Compiles src/ and kernel-ext/ to dist/, with declarations; does nothing when dist/ is as new as they are. Types are
 * not checked here (`make test` does that), so it takes seconds. dist/ is replaced as a whole or not at all.
 *
 *   node scripts/setup/build.mjs
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const dist = path.join(root, 'dist');

/** Latest time, in ms, at which something in the folder was saved, added or removed. */
function newest(folder) {
  if (!fs.existsSync(folder)) return 0;
  return fs.readdirSync(folder, { withFileTypes: true }).reduce((latest, entry) => {
    const at = path.join(folder, entry.name);
    return Math.max(latest, entry.isDirectory() ? newest(at) : fs.statSync(at).mtimeMs);
  }, fs.statSync(folder).mtimeMs);
}

function main() {
  const sources = ['src', 'kernel-ext', 'test/parity/checks', 'bench'].map((name) => newest(path.join(root, name)));
  const inputs = Math.max(...sources, fs.statSync(path.join(root, 'tsconfig.json')).mtimeMs);
  const stamp = path.join(dist, '.built');
  if (fs.existsSync(stamp) && fs.statSync(stamp).mtimeMs >= inputs) {
    console.log('build: dist/ is up to date.');
    return 0;
  }
  const started = new Date();
  const fresh = path.join(root, `dist.new-${process.pid}`); // beside dist: source maps point the same way
  try {
    const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
    const options = ['-p', root, '--outDir', fresh, '--noCheck', '--pretty', 'false'];
    const { status } = spawnSync(process.execPath, [tsc, ...options], { stdio: 'inherit', cwd: root });
    if (status !== 0) {
      console.error('build: the sources do not compile (see above); dist/ was left as it was.');
      return 1;
    }
    fs.writeFileSync(path.join(fresh, '.built'), '');
    fs.utimesSync(path.join(fresh, '.built'), started, started);
    const old = path.join(root, `dist.old-${process.pid}`);
    if (fs.existsSync(dist)) fs.renameSync(dist, old);
    fs.renameSync(fresh, dist);
    fs.rmSync(old, { recursive: true, force: true });
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true });
  }
  console.log(`build: dist/ compiled in ${((Date.now() - started.getTime()) / 1000).toFixed(1)} s.`);
  return 0;
}

process.exitCode = main();
