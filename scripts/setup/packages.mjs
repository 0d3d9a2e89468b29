#!/usr/bin/env node
/**
 * Installs the npm packages that package-lock.json pins, without running any package's install scripts; does nothing
 * when what is installed is what the lock file says. Plain Node, no packages.
 *
 *   node scripts/setup/packages.mjs
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** Why an installation is needed, or undefined when there is none. npm writes its own list last, so it is whole. */
function lacking() {
  const note = path.join(root, 'node_modules/.package-lock.json');
  if (!fs.existsSync(note)) return 'no packages are installed yet';
  const installed = JSON.parse(fs.readFileSync(note, 'utf8')).packages;
  const locked = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8')).packages;
  for (const [name, { version, optional, peer }] of Object.entries(locked)) {
    if (name === '') continue;
    const found = installed[name];
    if (!found && (optional || peer)) continue; // for another system
    if (found?.version !== version)
      return `${name.replace(/^.*node_modules\//, '')} is ${found?.version ?? 'missing'}, not ${version}`;
    if (!fs.existsSync(path.join(root, name))) return `${name} was removed`;
  }
  return undefined;
}

function main() {
  const [major] = process.versions.node.split('.').map(Number);
  if (major < 20) {
    console.error(`packages: Node ${process.version} is too old; UniLab needs Node 20 or newer.`);
    return 1;
  }
  const reason = lacking();
  if (!reason) {
    console.log('packages: installed already.');
    return 0;
  }
  console.log(`packages: ${reason}; running npm ci (about 1 GB in node_modules).`);
  const started = Date.now();
  const { status, error } = spawnSync(
    'npm',
    ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      stdio: 'inherit',
      cwd: root,
    },
  );
  if (status !== 0) {
    console.error(
      `packages: npm ci failed${error ? ` (${error.message})` : ''}; mend what it names and run this again.`,
    );
    return 1;
  }
  console.log(`packages: installed in ${((Date.now() - started) / 1000).toFixed(0)} s.`);
  return 0;
}

process.exitCode = main();
