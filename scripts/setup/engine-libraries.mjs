/** TensorFlow's shared libraries and C headers, taken from its Python wheel. Its Python part is never used. */
import fs from 'node:fs';
import path from 'node:path';
import { has, home, megabytes, Missing, run, say, seconds } from './engine-common.mjs';

const version = '2.21.0';
// Raised when more is taken from the wheel than before.
const format = 2;
const libraries = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];
// The wheel of one Python version is taken whatever Python this machine has: only its libraries are used.
const wheelPython = ['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311'];
const sizes = { cpu: { download: 270e6, unpacked: 950e6 }, cuda: { download: 3.4e9, unpacked: 5.2e9 } };

// Unpacks the libraries and the headers of the C interface, and prints what its CUDA packages are called.
const unpack = `
import re, sys, zipfile
wheel, target, what = sys.argv[1:4]
with zipfile.ZipFile(wheel) as z:
    for name in z.namelist():
        header = re.match(r'tensorflow/include/(tensorflow/c|tensorflow/core/platform|tensorflow/core/common_runtime/next_pluggable_device/c|tsl/platform|xla/tsl/c)/', name) and name.endswith('.h')
        library = re.match(r'tensorflow/libtensorflow_(cc|framework)\\.so\\.2$', name)
        nvidia = re.match(r'nvidia/.*/lib/.*\\.so', name)
        if header or library or nvidia:
            z.extract(name, target)
        if what == 'names' and name.endswith('.dist-info/METADATA'):
            for line in z.read(name).decode().splitlines():
                found = re.match(r'Requires-Dist: ([^;]+);.*extra == .and-cuda', line)
                if found:
                    print(re.sub(r'[() ]', '', found.group(1)))
`;

/**
 * `cuda` where nvidia-smi is at hand (on x86-64), else `cpu`; or what UNILAB_TENSORFLOW says: libraries for a GPU run
 * without one, too.
 * @throws Missing on systems without a fitting wheel
 */
export function flavour() {
  if (process.platform !== 'linux') {
    throw new Missing(`TensorFlow can be linked on Linux; this is ${process.platform}.`);
  }
  if (process.arch !== 'x64' && process.arch !== 'arm64') {
    throw new Missing(`TensorFlow has libraries for x64 and arm64; this processor is ${process.arch}.`);
  }
  const forced = process.env.UNILAB_TENSORFLOW;
  if (forced && forced !== 'cpu' && forced !== 'cuda') {
    throw new Missing(`UNILAB_TENSORFLOW is '${forced}': set it to cpu or cuda, or unset it.`);
  }
  if (forced === 'cuda' && process.arch !== 'x64') {
    throw new Missing(
      `UNILAB_TENSORFLOW is 'cuda': TensorFlow has CUDA libraries for x64; this processor is ${process.arch}.`,
    );
  }
  return forced || (process.arch === 'x64' && has('nvidia-smi') ? 'cuda' : 'cpu');
}

export function storeFolder(kind) {
  return path.join(home(), 'engine', `tensorflow-${version}-${kind}-${process.arch}`);
}

/** True when both libraries lie there with the sizes they had when they were unpacked. */
export function storeIsWhole(store) {
  try {
    const note = JSON.parse(fs.readFileSync(path.join(store, 'unilab.json'), 'utf8'));
    return (
      note.format === format &&
      libraries.every((name) => fs.statSync(path.join(store, 'tensorflow', name)).size === note.sizes[name])
    );
  } catch {
    return false;
  }
}

/** Downloads and unpacks beside the store, then renames. @throws Missing with a line for each thing that is missing */
export function fetchLibraries(kind, store, wheel) {
  const started = Date.now();
  const python = findPython();
  const size = sizes[kind];
  const { bavail, bsize } = fs.statfsSync(home());
  if (bavail * bsize < size.download + size.unpacked + 100e6) {
    const need = megabytes(size.download + size.unpacked);
    throw new Missing(
      `${home()} has ${megabytes(bavail * bsize)} free, ${need} are needed: set UNILAB_HOME elsewhere.`,
    );
  }
  for (const name of fs.readdirSync(path.dirname(store))) {
    // Left by a set-up that was stopped; the lock says that no other is at work.
    if (name.startsWith('.part-')) fs.rmSync(path.join(path.dirname(store), name), { recursive: true, force: true });
  }
  const part = path.join(path.dirname(store), `.part-${process.pid}`);
  const stop = () => fs.rmSync(part, { recursive: true, force: true });
  fs.mkdirSync(part, { recursive: true });
  try {
    const tensorflow = wheel ? path.resolve(wheel) : download(python, part, kind, size);
    if (!fs.existsSync(tensorflow)) throw new Missing(`there is no wheel ${tensorflow}.`);
    say(`unpacking the libraries (about ${megabytes(size.unpacked)}) into ${store}.`);
    const names = run(python, ['-c', unpack, tensorflow, part, kind === 'cuda' ? 'names' : ''], 'the wheel is damaged');
    if (kind === 'cuda') for (const name of names.split('\n').filter(Boolean)) addCuda(python, part, name);
    const found = libraries.map((name) => {
      const file = path.join(part, 'tensorflow', name);
      if (!fs.existsSync(file)) throw new Missing(`the wheel has no ${name}; another version than ${version}?`);
      return [name, fs.statSync(file).size];
    });
    fs.rmSync(path.join(part, 'wheels'), { recursive: true, force: true });
    fs.writeFileSync(
      path.join(part, 'unilab.json'),
      JSON.stringify({ version, format, sizes: Object.fromEntries(found) }),
    );
    // An older one is moved away first: whoever starts meanwhile misses it for an instant only.
    const old = `${part}-old`;
    if (fs.existsSync(store)) fs.renameSync(store, old);
    fs.renameSync(part, store);
    fs.rmSync(old, { recursive: true, force: true });
    say(`libraries unpacked: ${megabytes(found.reduce((sum, [, bytes]) => sum + bytes, 0))}, ${seconds(started)} s.`);
  } finally {
    stop();
  }
}

/** One line for each program that fetching needs and this machine lacks. */
export function lacksForLibraries() {
  return findPython() ? [] : ['Python 3 is missing (it unpacks TensorFlow): install python3 with pip.'];
}

function findPython() {
  return ['python3', 'python'].find(has);
}

/** Any pip will do: the system's, or one in a venv of our own. */
function findPip(python, part) {
  try {
    run(python, ['-m', 'pip', '--version'], 'pip');
    return python;
  } catch {
    run(
      python,
      ['-m', 'venv', path.join(part, 'wheels', 'venv')],
      'pip is missing (install python3-pip or python3-venv)',
    );
    return path.join(part, 'wheels', 'venv', 'bin', 'python');
  }
}

function download(python, part, kind, size) {
  const name = kind === 'cuda' || process.arch === 'arm64' ? 'tensorflow' : 'tensorflow-cpu';
  say(`downloading ${name} ${version}: about ${megabytes(size.download)}.`);
  return fetchWheel(python, part, `${name}==${version}`);
}

function fetchWheel(python, part, requirement) {
  const started = Date.now();
  const folder = path.join(part, 'wheels', requirement.replace(/[^\w.-]/g, '_'));
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  // Wheels bear the oldest system that they run on, under the names of their time.
  const systems = ['1', '2010', '2014', '_2_5', '_2_12', '_2_17', '_2_24', '_2_27', '_2_28'];
  const platforms = systems.flatMap((system) => ['--platform', `manylinux${system}_${machine}`]);
  const args = ['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--quiet', '--dest', folder];
  const what = `${requirement} could not be downloaded (is there a network, and a package index for pip?)`;
  run(findPip(python, part), [...args, ...platforms, ...wheelPython, requirement], what);
  const [file] = fs.readdirSync(folder).filter((name) => name.endsWith('.whl'));
  const wheel = path.join(folder, file);
  say(`${file}: ${megabytes(fs.statSync(wheel).size)}, ${seconds(started)} s.`);
  return wheel;
}

function addCuda(python, part, requirement) {
  run(python, ['-c', unpack, fetchWheel(python, part, requirement), part, ''], `${requirement} is damaged`);
}
