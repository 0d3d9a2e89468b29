#!/usr/bin/env node
/**
 * Links @tensorflow/tfjs-node-gpu with a current TensorFlow, once for each machine: the libraries are kept under
 * UNILAB_HOME (default ~/.cache/unilab), so that a second clone links in seconds. Plain Node, no packages.
 *
 *   node scripts/setup/engine.mjs [--require] [--wheel FILE]
 *
 * --require: exit status 1 when it cannot be linked (default: 0, the wasm engine takes over).
 * --wheel FILE: take this TensorFlow wheel instead of downloading one.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  bindingSources,
  buildBinding,
  isWhole,
  kernelSources,
  lacksForBinding,
  packageFolder,
  placeBinding,
} from './engine-binding.mjs';
import { home, Missing, quietly, say, seconds, withLock } from './engine-common.mjs';
import { fetchLibraries, flavour, lacksForLibraries, storeFolder, storeIsWhole } from './engine-libraries.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

function main() {
  const { values } = parseArgs({ options: { require: { type: 'boolean' }, wheel: { type: 'string' } } });
  try {
    link(values.wheel);
    return 0;
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    for (const line of error.lines) say(line);
    say('TensorFlow is not linked; the wasm engine takes over: everything works, slower. Mend it and run this again.');
    return values.require ? 1 : 0;
  }
}

function link(wheel) {
  const started = Date.now();
  const kind = flavour();
  const target = packageFolder();
  const store = storeFolder(kind);
  const key = bindingKey(target, store);
  const output = path.join(target, 'lib', 'napi-v8');
  if (linkedKey(output) === key && storeIsWhole(store) && isWhole(output)) {
    say(`TensorFlow is linked already (${store}).`);
    return;
  }
  fs.mkdirSync(path.join(home(), 'engine'), { recursive: true });
  withLock(path.join(home(), 'engine', '.lock'), () => {
    const built = path.join(store, 'bindings', key);
    const toFetch = !storeIsWhole(store);
    const toBuild = toFetch || !isWhole(built);
    // All that is missing is said at once, before anything is downloaded.
    const lacks = [...(toFetch ? lacksForLibraries() : []), ...(toBuild ? lacksForBinding() : [])];
    if (lacks.length > 0) throw new Missing(...lacks);
    if (toFetch) fetchLibraries(kind, store, wheel);
    if (toBuild) buildBinding(target, store, built);
    placeBinding(built, output);
  });
  const version = quietly(() => verify(target));
  // Written last: whoever is interrupted before this links again.
  const note = path.join(output, `.unilab-${process.pid}`);
  fs.writeFileSync(note, JSON.stringify({ key, store }) + '\n');
  fs.renameSync(note, path.join(output, 'unilab.json'));
  say(`TensorFlow ${version} (${kind}) is linked: ${seconds(started)} s.`);
}

function linkedKey(output) {
  try {
    if (!fs.existsSync(path.join(output, 'tfjs_binding.node'))) return undefined;
    return JSON.parse(fs.readFileSync(path.join(output, 'unilab.json'), 'utf8')).key;
  } catch {
    return undefined;
  }
}

/** Changes with everything that a built binding depends on. */
function bindingKey(target, store) {
  const hash = createHash('sha256').update(store).update(process.version.split('.')[0]).update(process.arch);
  const sources = path.join(target, 'binding');
  for (const name of fs.readdirSync(sources).sort()) hash.update(fs.readFileSync(path.join(sources, name)));
  const own = [kernelSources, bindingSources].flatMap((folder) =>
    fs
      .readdirSync(folder)
      .sort()
      .map((name) => path.join(folder, name)),
  );
  const files = [path.join(here, 'quiet.c'), path.join(target, 'binding.gyp'), ...own];
  for (const file of files) hash.update(fs.readFileSync(file));
  // Our own kernels are compiled for the processor they are compiled on.
  hash.update(/^(flags|Features).*$/m.exec(fs.readFileSync('/proc/cpuinfo', 'utf8'))?.[0] ?? '');
  const { version } = JSON.parse(fs.readFileSync(path.join(target, 'package.json'), 'utf8'));
  return `tfjs-node-${version}-node${process.versions.modules}-${hash.digest('hex').slice(0, 12)}`;
}

function verify(target) {
  const program = `
    const util = require('util'); util.isNullOrUndefined ??= (v) => v === null || v === undefined;
    const tf = require(${JSON.stringify(target)});
    const y = tf.matMul(tf.ones([3, 4]), tf.ones([4, 2])).arraySync();
    if (y[2][1] !== 4) throw new Error('a matrix product came out wrong');
    console.log(tf.backend().binding.TF_Version);`;
  return { command: process.execPath, args: ['-e', program], what: 'the linked TensorFlow does not run' };
}

process.exitCode = main();
