import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, describe, it } from 'node:test';
import { RunFolder } from '../../src/io';
import { RunLock } from '../../src/io/run-lock';

const scratch = mkdtempSync(path.join(tmpdir(), 'unilab-lock-'));
after(() => rmSync(scratch, { recursive: true }));

const root = path.join(__dirname, '../..');

/** Another process that takes the folder and stays. @returns a way to end it with a signal */
async function holder(folder: string) {
  const program = `const { RunLock } = require('./src/io/run-lock');
    RunLock.take(${JSON.stringify(folder)}).then(() => { console.log('taken'); setInterval(() => {}, 1000); });`;
  const child = spawn(process.execPath, ['-r', 'ts-node/register/transpile-only', '-e', program], {
    cwd: root,
    env: { ...process.env, TS_NODE_PROJECT: path.join(root, 'tsconfig.json') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    child.kill(signal);
    await once(child, 'close');
  };
  return { pid: child.pid, end };
}

describe("the lock of a run's folder", () => {
  it('is an error for a second process, which names the first and changes nothing', async () => {
    const folder = path.join(scratch, 'two');
    const { pid, end } = await holder(folder);
    const before = readFileSync(path.join(folder, 'lock'), 'utf8');
    await assert.rejects(
      RunFolder.open(folder, { steps: 1 }, { resume: true }),
      new RegExp(`RunError: ${folder} is being written by process ${pid} on `),
    );
    assert.throws(() => readFileSync(path.join(folder, 'options.json')), /ENOENT/);
    assert.equal(readFileSync(path.join(folder, 'lock'), 'utf8'), before);
    await end('SIGKILL');
  });

  it('of a process that died is taken over, with one line', async () => {
    const folder = path.join(scratch, 'dead');
    const { pid, end } = await holder(folder);
    await end('SIGKILL');
    const said: string[] = [];
    const lock = await RunLock.take(folder, (line) => said.push(line));
    assert.equal(said.length, 1);
    assert.match(said[0], new RegExp(`${folder}: process ${pid} on .* ended without closing the run`));
    await lock.release();
    await (await RunLock.take(folder, (line) => said.push(line))).release();
    assert.equal(said.length, 1, 'what was released is nobody else');
  });

  it('of this process is an error too, until the run is closed; an open that fails leaves none', async () => {
    const folder = path.join(scratch, 'own');
    const run = await RunFolder.open(folder, { steps: 1 });
    await assert.rejects(RunFolder.open(folder, { steps: 1 }, { resume: true }), /this process .* must close that run/);
    await run.close();
    await assert.rejects(RunFolder.open(folder, { steps: 2 }, { resume: true }), /other options/);
    await (await RunFolder.open(folder, { steps: 1 }, { resume: true })).close();
  });

  it('that was half signed is taken over without a word', async () => {
    const folder = path.join(scratch, 'own');
    writeFileSync(path.join(folder, 'lock'), '{"pid":4');
    const lock = await RunLock.take(folder, assert.fail);
    await lock.release();
  });
});
