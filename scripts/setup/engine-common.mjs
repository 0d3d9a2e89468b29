/** What the set-up scripts share: one-line messages, things that are missing, running programs, a lock. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Something this machine lacks: one line each, with the mend. */
export class Missing extends Error {
  constructor(...lines) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}

export function say(line) {
  process.stderr.write(`engine: ${line}\n`);
}

/** Where UniLab keeps what a machine needs once. */
export function home() {
  return path.resolve(process.env.UNILAB_HOME || path.join(os.homedir(), '.cache', 'unilab'));
}

export function seconds(since) {
  return ((Date.now() - since) / 1000).toFixed(1);
}

export function megabytes(bytes) {
  return `${Math.round(bytes / 1e6)} MB`;
}

/** True when the program is found in PATH. */
export function has(program) {
  return (process.env.PATH ?? '').split(path.delimiter).some((folder) => {
    try {
      fs.accessSync(path.join(folder, program), fs.constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Runs a program without showing its output. @returns its stdout @throws Missing with its last words */
export function run(command, args, what, options = {}) {
  const done = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26, ...options });
  if (done.status === 0) return done.stdout.trim();
  const words = `${done.error?.message ?? ''}\n${done.stdout ?? ''}\n${done.stderr ?? ''}`.trim().split('\n');
  // A compiler's first error says most, of anything else the last one.
  const first =
    words.find((line) => /\berror:/.test(line)) ?? words.filter((line) => /error|cannot|fail/i.test(line)).at(-1);
  throw new Missing(`${what}: ${(first ?? words.at(-1) ?? `exit status ${done.status}`).trim()}`);
}

/** {@link run} of what a function describes. */
export function quietly(describe) {
  const { command, args, what } = describe();
  return run(command, args, what);
}

/** Runs `work` while holding a lock file; waits for another live process, takes over from a dead one. */
export function withLock(file, work) {
  let told = false;
  for (;;) {
    try {
      fs.writeFileSync(file, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      if (!holderLives(file)) {
        fs.rmSync(file, { force: true });
        continue;
      }
      if (!told) say('another set-up is at work; waiting for it.');
      told = true;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    }
  }
  const release = () => fs.rmSync(file, { force: true });
  const stopped = () => {
    release();
    process.exit(130);
  };
  process.once('SIGINT', stopped);
  process.once('SIGTERM', stopped);
  try {
    return work();
  } finally {
    process.off('SIGINT', stopped);
    process.off('SIGTERM', stopped);
    release();
  }
}

function holderLives(file) {
  let pid;
  try {
    pid = Number(fs.readFileSync(file, 'utf8'));
    // A lock without a number was being written just now, or its writer died at it.
    if (!pid) return Date.now() - fs.statSync(file).mtimeMs < 5000;
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
