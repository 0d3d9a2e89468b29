/**
 * Loaded before a program (`--require`): counts what it does to files of a folder, and kills it with SIGKILL at one of
 * these operations. It kills after what was asked of the system before has happened, never within.
 *
 *   KILL_UNDER   the folder
 *   KILL_LOG     a file outside of it that gets one line an operation: `OPERATION PATH`
 *   KILL_AT      number of the operation, from 1; none: nothing is killed
 *   KILL_HOW     before: it does not happen. torn: half of what is to be written or removed is. power: it does not happen, and
 *                what was written and not synced is lost too, as when the power fails
 */
const fs = require('node:fs');
const promises = require('node:fs/promises');
const path = require('node:path');

const under = path.resolve(process.env.KILL_UNDER) + path.sep;
const at = Number(process.env.KILL_AT ?? 0);
const how = process.env.KILL_HOW ?? 'before';
const { appendFileSync, truncateSync, existsSync, rmSync } = fs;
let count = 0;

const isUnder = (file) => typeof file === 'string' && `${path.resolve(file)}${path.sep}`.startsWith(under);
const die = () => process.kill(process.pid, 'SIGKILL');

/** Bytes of each file that are on the disk whatever happens; all are appended to. */
const synced = new Map();

function losePower() {
  for (const [file, bytes] of synced) if (existsSync(file)) truncateSync(file, bytes);
  die();
}

/** Half of a folder is removed; other operations have no half. */
function tear(name, file) {
  if (name.startsWith('rm') && existsSync(file) && fs.statSync(file).isDirectory()) {
    const [first] = fs.readdirSync(file);
    if (first !== undefined) rmSync(path.join(file, first), { recursive: true });
  }
  die();
}

/** @returns whether the operation is to be torn */
function counted(operation, file) {
  count++;
  if (process.env.KILL_LOG) appendFileSync(process.env.KILL_LOG, `${operation} ${path.relative(under, file)}\n`);
  if (count !== at) return false;
  if (how === 'torn') return true;
  if (how === 'power') losePower();
  die();
}

/** Replaces a function of a module; where it touches a file of the folder, it is counted first. */
function watch(target, name, isChange = () => true, after = () => undefined) {
  const real = target[name];
  target[name] = function watched(...args) {
    if (!isUnder(args[0]) || !isChange(args)) return real.apply(this, args);
    if (counted(name, args[0])) tear(name, args[0]);
    const result = real.apply(this, args);
    if (typeof result?.then !== 'function') after(args);
    return typeof result?.then === 'function' ? result.then((value) => (after(args), value)) : result;
  };
}

const writes = ([, flags = 'r']) => (typeof flags === 'number' ? (flags & 3) !== 0 : flags !== 'r');
const moved = ([from, to]) => {
  if (!synced.has(from)) return;
  synced.set(to, synced.get(from));
  synced.delete(from);
};
const gone = ([file]) => {
  for (const name of synced.keys()) if (`${name}${path.sep}`.startsWith(file + path.sep)) synced.delete(name);
};

for (const module of [promises, fs]) {
  const ending = module === fs ? 'Sync' : '';
  watch(module, `mkdir${ending}`);
  watch(module, `rename${ending}`, undefined, moved);
  for (const name of ['rm', 'unlink', 'rmdir']) watch(module, `${name}${ending}`, undefined, gone);
  for (const name of ['writeFile', 'appendFile', 'truncate', 'copyFile', 'symlink', 'link'])
    watch(module, `${name}${ending}`);
}
for (const name of ['openSync', 'createWriteStream']) watch(fs, name, writes);

/** How much of bytes is written when nobody says; of text the argument is its encoding. */
const bytesFrom = (data, offset) => (typeof data === 'string' ? undefined : data.length - offset);

/** Methods of an open file. Its `write` may be torn. */
function watchHandle(handle, file) {
  if (!synced.has(file)) synced.set(file, fs.fstatSync(handle.fd).size);
  const method = (name, after = () => undefined) => {
    const real = handle[name].bind(handle);
    handle[name] = async (...args) => {
      counted(name, file);
      const result = await real(...args);
      after(args);
      return result;
    };
  };
  const size = () => synced.set(file, fs.fstatSync(handle.fd).size);
  method('sync', size);
  method('datasync', size);
  method('truncate', ([length = 0]) => synced.set(file, Math.min(synced.get(file), length)));
  const write = handle.write.bind(handle);
  handle.write = async (
    data,
    offset = typeof data === 'string' ? undefined : 0,
    length = bytesFrom(data, offset),
    ...rest
  ) => {
    const bytes = Buffer.from(data);
    if (!counted('write', file)) return write(data, offset, length, ...rest);
    fs.writeSync(handle.fd, bytes, offset ?? 0, Math.floor((typeof data === 'string' ? bytes.length : length) / 2));
    die();
  };
}

const { open } = promises;
promises.open = async (file, flags, ...rest) => {
  const changes = isUnder(file) && writes([file, flags]);
  if (changes) counted('open', file);
  const handle = await open(file, flags, ...rest);
  if (changes) watchHandle(handle, path.resolve(file));
  return handle;
};
