/** The kernelspec as other programs use it: VS Code and Jupyter start `argv` with a connection file, and nothing else. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { KernelClient } from '../../kernel-ext/protocol/client';
import { newConnection } from '../../kernel-ext/protocol/connection';
import { type KernelSpec, kernelSpec } from '../../kernel-ext/process/kernelspec';
import { ClientSockets } from '../../kernel-ext/threads/client-sockets';
import { begun, TestKernel } from './kernel';

const folder = mkdtempSync(path.join(tmpdir(), 'unilab-launch-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('the installed kernel.json starts the kernel from any folder, without a PATH', async () => {
  const unilab = path.join(__dirname, '../../bin/unilab');
  execFileSync(process.execPath, [unilab, 'kernel', 'install', '--prefix', folder]);
  const file = path.join(folder, 'share/jupyter/kernels/unilab/kernel.json');
  const spec = JSON.parse(readFileSync(file, 'utf8')) as KernelSpec;
  assert.equal(spec.language, 'typescript');
  assert.equal(spec.interrupt_mode, 'signal');
  assert.ok(path.isAbsolute(spec.argv[0]) && spec.argv.includes('{connection_file}'));
  const env = { PATH: undefined, JPY_PARENT_PID: undefined, UNILAB_HISTORY: 'off' };
  const client = await KernelClient.start({ argv: spec.argv, cwd: folder, env, timeout: 240_000, transport: 'tcp' });
  const code = "import * as unilab from 'unilab';\n[process.cwd(), typeof unilab.imageGrid].join(' ')";
  const shown: unknown[] = [];
  const request = client.execute(code, {}, (message) => {
    if (message.header.msg_type === 'execute_result') shown.push(message.content.data);
  });
  assert.equal((await request.reply).content.status, 'ok');
  await request.idle;
  assert.deepEqual(shown, [{ 'text/plain': `'${folder} function'` }]);
  assert.deepEqual(await client.shutdown(), { code: 0, signal: null });
});

test('a kernel one of whose ports is taken ends at once and says so', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as AddressInfo;
  try {
    // Whichever socket it is: with the others open, a kernel could answer and still be half deaf.
    for (const name of ['hb_port', 'stdin_port', 'shell_port']) {
      const ports = { shell_port: 0, iopub_port: 0, stdin_port: 0, control_port: 0, hb_port: 0, [name]: port };
      const connection = { transport: 'tcp', ip: '127.0.0.1', key: 'k', signature_scheme: 'hmac-sha256', ...ports };
      const file = path.join(folder, `${name}.json`);
      writeFileSync(file, JSON.stringify(connection));
      const [command, ...args] = kernelSpec().argv.map((part) => part.replace('{connection_file}', file));
      const kernel = spawnSync(command, args, { cwd: folder, encoding: 'utf8', timeout: 240_000 });
      assert.equal(kernel.status, 1, `${name}: ${kernel.signal ?? kernel.stderr}`);
      assert.match(kernel.stderr, new RegExp(`tcp://127\\.0\\.0\\.1:${port} cannot be opened: Address already in use`));
    }
  } finally {
    taken.close();
  }
});

test('what is said while the sockets open waits for them', async () => {
  const own = mkdtempSync(path.join(folder, 'sockets-'));
  const sockets = new ClientSockets(await newConnection(own));
  const opened = sockets.open(
    () => undefined,
    () => undefined,
  );
  // ZeroMQ refuses this in the middle of a bind, at once.
  sockets.publish('stream', { name: 'stderr', text: 'a warning of Node.js' }, {});
  await opened;
  sockets.publish('status', { execution_state: 'starting' }, {});
  sockets.close();
});

test('the compiler is in a thread of its own, and nowhere else', async () => {
  const kernel = await TestKernel.start();
  try {
    await kernel.run('const a: number = 1;\nfunction f(): number { return a }\nthrow new Error("mapped");');
    await kernel.send('complete_request', { code: 'a.toF', cursor_pos: 5 });
    const { result } = await kernel.run(
      "import Module from 'node:module';\n" +
        'const files = Object.keys((Module as unknown as { _cache: object })._cache);\n' +
        "[files.some((file) => file.includes('tslab/dist/executor')), files.some((file) => /compiler.typescript|dist.converter/.test(file))]",
    );
    assert.equal(result?.['text/plain'], '[ true, false ]');
  } finally {
    await kernel.stop();
  }
});

test('headless runs use no ports, which other programs could take, but a folder of their own', async () => {
  const kernel = await TestKernel.start();
  try {
    const ran = await kernel.run("JSON.parse(require('node:fs').readFileSync(process.argv.at(-1)!, 'utf8')).ip");
    const sockets = String(ran.result?.['text/plain']).replaceAll("'", '');
    assert.match(sockets, /unilab-kernel-[\w-]+\/socket$/);
    assert.equal(statSync(path.dirname(sockets)).mode & 0o777, 0o700);
    assert.equal(readdirSync(path.dirname(sockets)).filter((name) => name.startsWith('socket-')).length, 5);
  } finally {
    await kernel.stop();
  }
});

test('two kernels at once know nothing of each other', async () => {
  const [one, two] = await Promise.all([TestKernel.start(), TestKernel.start()]);
  try {
    await Promise.all([one.run('const mine = 1;'), two.run('const mine: string = "two";')]);
    const [first, second] = await Promise.all([one.run('mine'), two.run('mine')]);
    assert.deepEqual([first.result?.['text/plain'], second.result?.['text/plain']], ['1', "'two'"]);
    const loop = one.client.execute(`${begun} while (true) {}`);
    // An interrupt that comes before the loop would stop nothing.
    await one.begins();
    assert.equal((await two.run('1 + 1')).result?.['text/plain'], '2', 'while the other one is busy');
    one.client.interrupt();
    assert.equal((await loop.reply).content.status, 'error');
  } finally {
    await Promise.all([one.stop(), two.stop()]);
  }
});

test('class expressions with private members can be used in later cells', async () => {
  const kernel = await TestKernel.start();
  try {
    const cells = [
      'const make = () => class { private secret = 1; protected half = 2; get open() { return this.secret + this.half; } };',
      'const Made = make(); const made = new Made(); made.open',
      'const Mixed = class extends Made { private other = 4; sum() { return this.open + this.other; } };\nnew Mixed().sum()',
    ];
    const results: (string | undefined)[] = [];
    for (const code of cells) {
      const ran = await kernel.run(code);
      assert.equal(ran.reply.status, 'ok', `${code}: ${String(ran.reply.evalue)}`);
      results.push(ran.result?.['text/plain']);
    }
    assert.deepEqual(results, [undefined, '3', '7']);
  } finally {
    await kernel.stop();
  }
});
