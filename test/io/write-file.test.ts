import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmod, lstat, mkdir, mkdtemp, open, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { appendWhole, WriteFileError, writeFileAtomic, writeFilesAtomic } from '../../src/io/write-file';

const posix = { skip: process.platform === 'win32' };
const linux = { skip: process.platform !== 'linux' };

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'unilab-write-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const text = (file: string): Promise<string> => readFile(file, 'utf8');

/** A folder of its own with one file in it. */
async function withFile(name: string, content: string): Promise<string> {
  const own = await mkdtemp(path.join(folder, 'own-'));
  await writeFile(path.join(own, name), content);
  return path.join(own, name);
}

/** Runs code in a process whose files may have 1,024 bytes: a longer write is cut short, as on a full disk. */
function withFullDisk(code: string): { readonly status: number | null; readonly said: string } {
  const module = JSON.stringify(path.resolve(__dirname, '../../src/io/write-file'));
  const program = `process.on('SIGXFSZ', () => {}); const io = require(${module}); (async () => { ${code} })().catch((error) => { console.log(error.name, error.code, error.message); process.exit(3); });`;
  const node = `exec "$0" --require ts-node/register/transpile-only -e "$1"`;
  const env = { ...process.env, TS_NODE_PROJECT: path.resolve(__dirname, '../../tsconfig.json') };
  const options = { encoding: 'utf8', cwd: path.resolve(__dirname, '../..'), env } as const;
  const { status, stdout } = spawnSync('bash', ['-c', `ulimit -f 1; ${node}`, process.execPath, program], options);
  return { status, said: stdout };
}

describe('writeFileAtomic', () => {
  it('writes text and bytes, over what was there, and leaves nothing beside', async () => {
    const file = await withFile('a.txt', 'old and longer');
    await writeFileAtomic(file, 'new ✓');
    assert.equal(await text(file), 'new ✓');
    await writeFileAtomic(file, new Uint8Array([1, 2, 255]));
    assert.deepEqual([...(await readFile(file))], [1, 2, 255]);
    await writeFileAtomic(file, '');
    assert.equal(await text(file), '');
    assert.deepEqual(await readdir(path.dirname(file)), ['a.txt']);
  });

  it('leaves the old file where the disk is full in the middle', posix, async () => {
    const file = await withFile('notes.json', '{"old": true}');
    const { status, said } = withFullDisk(`await io.writeFileAtomic(${JSON.stringify(file)}, 'x'.repeat(5000));`);
    assert.equal(status, 3);
    assert.match(said, /WriteFileError EFBIG .*notes\.json was not written, and is as it was/);
    assert.equal(await text(file), '{"old": true}');
    assert.deepEqual(await readdir(path.dirname(file)), ['notes.json']);
  });

  it('keeps the permissions of a file that is there, and gives a new one those asked for', posix, async () => {
    const file = await withFile('run.sh', 'old');
    await chmod(file, 0o750);
    await writeFileAtomic(file, 'new', 0o600);
    assert.equal((await stat(file)).mode & 0o777, 0o750);
    const secret = path.join(path.dirname(file), 'secret');
    await writeFileAtomic(secret, 'key', 0o600);
    assert.equal((await stat(secret)).mode & 0o777, 0o600);
  });

  it('writes through symbolic links, also to a file that is not there yet', posix, async () => {
    const file = await withFile('target.txt', 'old');
    const [link, other] = [path.join(folder, 'link'), path.join(folder, 'other')];
    await symlink(path.relative(folder, file), link);
    await symlink(link, other);
    await writeFileAtomic(other, 'new');
    assert.equal(await text(file), 'new');
    assert.ok((await lstat(link)).isSymbolicLink() && (await lstat(other)).isSymbolicLink());
    const dangling = path.join(folder, 'dangling');
    await symlink('not-yet', dangling);
    await writeFileAtomic(dangling, 'made');
    assert.equal(await text(path.join(folder, 'not-yet')), 'made');
    await symlink('circle', path.join(folder, 'circle'));
    await assert.rejects(writeFileAtomic(path.join(folder, 'circle'), ''), WriteFileError);
  });

  it('writes a pipe through, as slowly as it is read', posix, async () => {
    const pipe = path.join(folder, 'pipe');
    spawnSync('mkfifo', [pipe]);
    const reader = spawn('sh', ['-c', 'sleep 0.3; cat "$0" | wc -c', pipe], { stdio: ['ignore', 'pipe', 'ignore'] });
    const counted = new Promise<string>((resolve) => reader.stdout.once('data', (data) => resolve(String(data))));
    await writeFileAtomic(pipe, 'x'.repeat(300_000));
    assert.equal((await counted).trim(), '300000');
    assert.ok((await stat(pipe)).isFIFO());
  });

  it('leaves devices what they are, and refuses folders', linux, async () => {
    await assert.rejects(writeFileAtomic('/dev/full', 'x'), { name: 'WriteFileError', code: 'ENOSPC' });
    assert.ok((await stat('/dev/full')).isCharacterDevice());
    await assert.rejects(writeFileAtomic(folder, 'x'), /it is a folder/);
    const log = await withFile('log', 'before\n');
    const module = JSON.stringify(path.resolve(__dirname, '../../src/io/write-file'));
    const program = `require('ts-node/register/transpile-only'); require(${module}).writeFileAtomic('/dev/stdout', 'piece\\n').then(() => console.log('after'))`;
    const handle = await open(log, 'a');
    spawnSync(process.execPath, ['-e', program], { stdio: ['ignore', handle.fd, 'inherit'] });
    await handle.close();
    assert.equal(await text(log), 'before\npiece\nafter\n');
  });

  it('says which file, where a folder is missing', async () => {
    const file = path.join(folder, 'no', 'such', 'folder.txt');
    await assert.rejects(writeFileAtomic(file, ''), (error: WriteFileError) => {
      assert.deepEqual([error.name, error.code], ['WriteFileError', 'ENOENT']);
      return error.message.startsWith(`${file} was not written`);
    });
  });

  it('lets the last of several writes win', async () => {
    const file = await withFile('many', '');
    await Promise.all(Array.from({ length: 20 }, (_, i) => writeFileAtomic(file, `${'x'.repeat(20 - i)}${i}`)));
    assert.equal(await text(file), 'x19');
    assert.deepEqual(await readdir(path.dirname(file)), ['many']);
  });

  it('leaves a whole file when it is killed, and sweeps what a killed writer left', posix, async () => {
    const file = await withFile('big', 'a'.repeat(4_000_000));
    const own = path.dirname(file);
    const module = JSON.stringify(path.resolve(__dirname, '../../src/io/write-file'));
    const program = `require('ts-node/register/transpile-only'); const { writeFileAtomic } = require(${module}); const file = ${JSON.stringify(file)};
      (async () => { console.log('begun'); for (let i = 0; ; i++) await writeFileAtomic(file, (i % 2 ? 'a' : 'b').repeat(4_000_000)); })();`;
    for (let i = 0; i < 6; i++) {
      const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
      await new Promise((resolve) => child.stdout.once('data', resolve));
      await sleep(17 * i);
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('close', resolve));
      const left = await text(file);
      assert.ok(left.length === 4_000_000 && (left === 'a'.repeat(4_000_000) || left === 'b'.repeat(4_000_000)));
    }
    const stuck = `require('ts-node/register/transpile-only'); setInterval(() => {}, 1000);
      require(${module}).writeFilesAtomic([{ file: ${JSON.stringify(file)}, write: () => new Promise(() => console.log('half')) }]);`;
    const child = spawn(process.execPath, ['-e', stuck], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await writeFileAtomic(file, 'while it runs');
    assert.equal((await readdir(own)).length, 2, 'a writer that runs is left alone');
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    await writeFilesAtomic([{ file, write: async () => undefined }]);
    await writeFileAtomic(file, 'whole');
    assert.deepEqual(await readdir(own), ['big']);
  });
});

describe('writeFilesAtomic', () => {
  it('gives no file its name where one cannot be made', async () => {
    const own = path.join(folder, 'several');
    await mkdir(own);
    const jobs = ['1', '2', 'index'].map((name) => ({
      file: path.join(own, name),
      write: name === 'index' ? () => Promise.reject(new Error('no index')) : async () => undefined,
    }));
    await assert.rejects(writeFilesAtomic(jobs), /no index/);
    assert.deepEqual(await readdir(own), []);
  });
});

describe('appendWhole', () => {
  it('leaves no half line where the disk is full', posix, async () => {
    const file = await withFile('steps.jsonl', 'one\n');
    const code = `const { open } = require('node:fs/promises'); const handle = await open(${JSON.stringify(file)}, 'a'); await io.appendWhole(handle, 'two\\n'); await io.appendWhole(handle, 'x'.repeat(5000) + '\\n');`;
    assert.match(withFullDisk(code).said, /EFBIG/);
    assert.equal(await text(file), 'one\ntwo\n');
    const handle = await open(file, 'a');
    await appendWhole(handle, 'three\n');
    await handle.close();
    assert.equal(await text(file), 'one\ntwo\nthree\n');
  });
});
