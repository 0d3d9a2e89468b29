/** The Node binding of TensorFlow, compiled from the sources that the npm package carries. */
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { has, Missing, run, say, seconds } from './engine-common.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

/** Where npm put @tensorflow/tfjs-node-gpu. @throws Missing before `npm ci` */
export function packageFolder() {
  try {
    const require = createRequire(path.join(process.cwd(), 'package.json'));
    return fs.realpathSync(path.dirname(require.resolve('@tensorflow/tfjs-node-gpu/package.json')));
  } catch {
    throw new Missing('the npm packages are not installed: run `npm ci` in the project folder first.');
  }
}

/** One line for each program that compiling needs and this machine lacks. */
export function lacksForBinding() {
  const missing = [];
  if (!has('g++') && !has('c++')) missing.push('a C++ compiler is missing: install g++ (Debian: build-essential).');
  if (!has('make')) missing.push('make is missing: install it (Debian: build-essential).');
  if (!findGyp()) missing.push('node-gyp is missing: npm carries it, install npm beside this Node.');
  return missing;
}

/**
 * Compiles the binding and the small addon that keeps TensorFlow's load-time lines quiet.
 * @param source the npm package's folder; nothing in it is changed
 * @param store the folder with TensorFlow's libraries, written into the binding as its run path
 * @param target folder that will hold `tfjs_binding.node` and `unilab_quiet.node`
 */
export function buildBinding(source, store, target) {
  const started = Date.now();
  const gyp = findGyp();
  say('compiling the binding (about 10 s).');
  const work = `${target}.${process.pid}`;
  fs.rmSync(work, { recursive: true, force: true });
  fs.mkdirSync(path.join(work, 'deps', 'lib'), { recursive: true });
  try {
    fs.cpSync(path.join(source, 'binding'), path.join(work, 'binding'), { recursive: true });
    addFunctions(path.join(work, 'binding'));
    fs.copyFileSync(path.join(source, 'package.json'), path.join(work, 'package.json'));
    const libraries = path.join(store, 'tensorflow');
    const own = "'-Wl,-rpath,\\$$ORIGIN/../../deps/lib'";
    const gypFile = fs.readFileSync(path.join(source, 'binding.gyp'), 'utf8');
    if (!gypFile.includes(own)) throw new Missing('binding.gyp of tfjs-node-gpu has changed; expected version 4.22.0.');
    // The libraries find NVIDIA's beside them, so they are loaded from their real folder, not through links.
    fs.writeFileSync(
      path.join(work, 'binding.gyp'),
      gypFile.replace(own, () => `'-Wl,-rpath,${libraries}'`),
    );
    fs.symlinkSync(path.join(libraries, 'include'), path.join(work, 'deps', 'include'));
    for (const [link, name] of [
      ['libtensorflow.so', 'libtensorflow_cc.so.2'],
      ['libtensorflow_framework.so', 'libtensorflow_framework.so.2'],
    ]) {
      fs.symlinkSync(path.join(libraries, name), path.join(work, 'deps', 'lib', link));
    }
    const headers = nodeHeaders();
    const options = ['--module_name=tfjs_binding', '--module_path=./lib', '--napi_version=9', '--napi_build_version=8'];
    if (headers) options.push(`--nodedir=${headers}`);
    run(process.execPath, [gyp, 'rebuild', ...options], 'the binding could not be compiled', { cwd: work });
    const out = path.join(work, 'out');
    fs.mkdirSync(out);
    fs.copyFileSync(path.join(work, 'build', 'Release', 'tfjs_binding.node'), path.join(out, 'tfjs_binding.node'));
    buildQuiet(headers, path.join(out, 'unilab_quiet.node'));
    buildKernels(headers, libraries, path.join(out, 'unilab_ops.node'));
    fs.rmSync(target, { recursive: true, force: true });
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.renameSync(out, target);
    say(`binding compiled: ${seconds(started)} s.`);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

const BINDING = 'tfjs_binding.node';
const COMFORTS = ['unilab_quiet.node', 'unilab_ops.node'];

/** Whether a folder holds the binding, and our own kernels where they can be compiled. */
export function isWhole(folder) {
  const kernels = nodeHeaders() && ['g++', 'c++'].some(has) ? ['unilab_ops.node'] : [];
  return [BINDING, ...kernels].every((name) => fs.existsSync(path.join(folder, name)));
}

/** Copies what was built beside the package; what an earlier build had and this one has not is taken away. */
export function placeBinding(built, output) {
  fs.mkdirSync(output, { recursive: true });
  const names = fs.readdirSync(built);
  for (const name of COMFORTS) if (!names.includes(name)) fs.rmSync(path.join(output, name), { force: true });
  for (const name of names) {
    // Copied beside and renamed, so that a running process keeps the file it has mapped.
    const to = path.join(output, name);
    const aside = `${to}.${process.pid}`;
    fs.copyFileSync(path.join(built, name), aside);
    fs.renameSync(aside, to);
  }
}

/** Where what the binding gets besides lies. */
export const bindingSources = path.join(here, '..', '..', 'src', 'engine', 'binding');

/**
 * Adds our methods to a copy of the binding's sources. @throws Missing when they are not those of version 4.22.0
 */
function addFunctions(folder) {
  const include = (name) => `#include "${path.join(bindingSources, name)}"\n`;
  const edit = (name, at, change) => {
    const file = path.join(folder, name);
    const text = fs.readFileSync(file, 'utf8');
    if (text.split(at).length !== 2)
      throw new Missing(`${name} of tfjs-node-gpu has changed; expected version 4.22.0.`);
    fs.writeFileSync(file, text.replace(at, change));
  };
  edit('tfjs_backend.h', ' private:\n', (found) => `${include('methods.h')}\n${found}`);
  edit('tfjs_binding.cc', 'static napi_value InitTFNodeJSBinding', (found) => include('exports.cc') + found);
  edit('tfjs_binding.cc', '      {"getNumOfSavedModels"', (found) => `      UNILAB_EXPORTS\n${found}`);
  edit('tfjs_backend.cc', 'void AssignOpAttr(', (found) => `${include('attributes.cc')}\n${found}`);
  const text = 'arbitrary byte sequences).\n      std::string str_value;\n      nstatus = ';
  edit('tfjs_backend.cc', `${text}GetStringParam`, () => `${text}GetBytesOrString`);
  fs.appendFileSync(path.join(folder, 'tfjs_backend.cc'), `\n${include('functions.cc')}`);
}

/** Only a comfort: without it TensorFlow prints two lines when it loads. */
function buildQuiet(headers, file) {
  if (!headers) return;
  const compiler = ['cc', 'gcc', 'g++'].find(has);
  const include = path.join(headers, 'include', 'node');
  const args = ['-shared', '-fPIC', '-O1', '-DNAPI_VERSION=8', `-I${include}`, path.join(here, 'quiet.c'), '-o', file];
  try {
    run(compiler, args, 'quiet.c could not be compiled');
  } catch (error) {
    say(`${error.message}; TensorFlow will print two lines when it loads.`);
  }
}

/** Where the sources of our own TensorFlow kernels lie. */
export const kernelSources = path.join(here, '..', '..', 'src', 'engine', 'native');

/** Only speed: without them TensorFlow's own kernels do the same, in more passes. Made for this very processor. */
function buildKernels(headers, libraries, file) {
  if (!headers) return;
  const compiler = ['g++', 'c++'].find(has);
  const sources = fs.readdirSync(kernelSources).filter((name) => name.endsWith('.cc'));
  const include = [`-I${path.join(libraries, 'include')}`, `-I${path.join(headers, 'include', 'node')}`];
  const fast = ['-O3', '-march=native', '-fopenmp', '-fno-math-errno', '-fno-trapping-math'];
  const link = [`-L${libraries}`, '-l:libtensorflow_framework.so.2', `-Wl,-rpath,${libraries}`];
  const args = [
    '-std=c++17',
    '-shared',
    '-fPIC',
    '-DNAPI_VERSION=8',
    ...fast,
    ...include,
    ...sources,
    '-o',
    file,
    ...link,
  ];
  try {
    run(compiler, args, 'our own kernels could not be compiled', { cwd: kernelSources });
  } catch (error) {
    say(`${error.message}; TensorFlow's do the same, slower.`);
  }
}

/** The prefix whose include/node holds Node's headers; undefined: node-gyp downloads them. */
function nodeHeaders() {
  const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)));
  return [prefix, '/usr', '/usr/local'].find((folder) => {
    const header = path.join(folder, 'include', 'node', 'node_version.h');
    if (!fs.existsSync(header)) return false;
    const major = /define NODE_MAJOR_VERSION (\d+)/.exec(fs.readFileSync(header, 'utf8'))?.[1];
    return major === process.versions.node.split('.')[0];
  });
}

function findGyp() {
  const inNpm = path.join('npm', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
  const prefix = path.dirname(path.dirname(fs.realpathSync(process.execPath)));
  const roots = [
    path.join(prefix, 'lib', 'node_modules'),
    '/usr/share/nodejs',
    '/usr/lib/node_modules',
    '/usr/local/lib/node_modules',
  ];
  if (has('npm')) roots.push(run('npm', ['root', '-g'], 'npm'));
  const found = roots.map((root) => path.join(root, inNpm)).find((file) => fs.existsSync(file));
  return found ?? ['/usr/share/nodejs/node-gyp/bin/node-gyp.js'].find((file) => fs.existsSync(file));
}
