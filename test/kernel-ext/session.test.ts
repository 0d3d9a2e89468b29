import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { KernelClient } from '../../kernel-ext/protocol/client';
import { eventually, within } from '../eventually';
import { awaitsGo, begun, begunWaiting, isToWait, TestKernel, types } from './kernel';

let kernel: TestKernel;
before(async () => (kernel = await TestKernel.start()));
after(() => kernel.stop());

test('kernel_info has a status and speaks 5.5', async () => {
  const { reply } = await kernel.send('kernel_info_request', {});
  assert.equal(reply.status, 'ok');
  assert.equal(reply.protocol_version, '5.5');
  assert.equal(reply.implementation, 'unilab');
  assert.equal((reply.language_info as { name: string }).name, 'typescript');
});

test('usage_request tells memory and processor time, also while a cell computes', async () => {
  await kernel.send('usage_request', {}, 'control');
  const busy = kernel.run(`${begun} while (${isToWait});`);
  await kernel.begins();
  // The cell ends when it is told to: all of this is answered before.
  const reply = await eventually(async () => {
    const usage = (await kernel.send('usage_request', {}, 'control')).reply;
    assert.ok((usage.kernel_memory as number) > 20e6 && (usage.kernel_cpu as number) > 1, JSON.stringify(usage));
    return usage;
  });
  assert.ok((reply.host_virtual_memory as { total: number }).total > (reply.kernel_memory as number));
  assert.equal((await kernel.goOn(busy)).reply.status, 'ok');
  assert.equal(String(reply.pid), (await kernel.run('process.pid')).result?.['text/plain']);
});

test('the working folder is the notebook’s', async () => {
  const ran = await kernel.run('process.cwd()');
  assert.equal(ran.result?.['text/plain'], `'${realpathSync(kernel.folder)}'`);
});

/** @param code says that it has begun when it is to be interrupted */
async function interrupted(code: string, how: () => unknown): Promise<string> {
  const request = kernel.client.execute(code);
  await kernel.begins();
  await how();
  const reply = await within(request.reply, 'the end of an interrupted cell');
  await request.idle;
  assert.equal(reply.content.status, 'error');
  return String(reply.content.ename);
}

test('interrupts stop a loop, an await, and a training loop between steps, which closes its source', async () => {
  await kernel.run('0');
  assert.equal(await interrupted(`${begun} while (true) {}`, () => kernel.client.interrupt()), 'Interrupted');
  const endless = `${begunWaiting} await new Promise(() => undefined)`;
  assert.equal(await interrupted(endless, () => kernel.client.interrupt()), 'Interrupted');
  await kernel.run(
    'let made = 0; let closed = false;\nasync function* steps() { try { while (true) { yield ++made; await new Promise((r) => setTimeout(r, 10)); } } finally { closed = true; } }',
  );
  const byMessage = (): Promise<unknown> => kernel.send('interrupt_request', {}, 'control');
  assert.equal(
    await interrupted(`for await (const step of steps()) { if (step === 3) { ${begun} } }`, byMessage),
    'Interrupted',
  );
  await eventually(async () => assert.equal((await kernel.run('closed')).result?.['text/plain'], 'true'));
  const later = await kernel.run('const then = made; await new Promise((r) => setTimeout(r, 200)); made - then');
  assert.equal(later.result?.['text/plain'], '0', 'no step is made after the interrupt');
});

test('code that was interrupted stops at its next await, and jupyter.signal tells it', async () => {
  await kernel.run('let reached = 0; let told = false; let end = (): void => undefined;');
  const code = `jupyter.signal.addEventListener('abort', () => { told = true; });
${begunWaiting} await new Promise<void>((r) => { end = r; }); reached = 1;`;
  await interrupted(code, () => kernel.client.interrupt());
  await kernel.run('end(); await new Promise((r) => setTimeout(r, 50));');
  assert.equal((await kernel.run('[reached, told]')).result?.['text/plain'], '[ 0, true ]');
  assert.equal((await kernel.run('await Promise.resolve(3)')).result?.['text/plain'], '3');
});

test('history: the tail, a range, a search, with outputs; kept for the next kernel', async () => {
  await kernel.run("const remembered = 'needle one'");
  await kernel.run("'needle two'");
  const tail = await kernel.send('history_request', { hist_access_type: 'tail', n: 2, output: false, raw: true });
  assert.equal(tail.reply.status, 'ok');
  const rows = tail.reply.history as [number, number, string][];
  assert.deepEqual(
    rows.map((row) => row[2]),
    ["const remembered = 'needle one'", "'needle two'"],
  );
  const search = await kernel.send('history_request', {
    hist_access_type: 'search',
    pattern: '*needle*',
    n: 5,
    output: true,
    raw: true,
  });
  assert.deepEqual((search.reply.history as [number, number, unknown][]).at(-1)?.[2], ["'needle two'", "'needle two'"]);
  const range = await kernel.send('history_request', {
    hist_access_type: 'range',
    session: 0,
    start: rows[0][1],
    stop: rows[0][1] + 1,
    output: false,
    raw: true,
  });
  assert.deepEqual((range.reply.history as unknown[]).length, 1);
  const next = await TestKernel.start(kernel.folder);
  try {
    await next.run("'needle three'");
    const all = await next.send('history_request', {
      hist_access_type: 'search',
      pattern: '*needle*',
      n: 10,
      output: false,
      raw: true,
    });
    const found = all.reply.history as [number, number, string][];
    assert.equal(found.length, 3);
    assert.equal(found[2][0], found[0][0] + 1, 'a session of its own');
  } finally {
    await next.stop();
  }
});

test('comms: opened from either side, messages both ways, info, close; unknown targets are closed', async () => {
  await kernel.run(
    "jupyter.comms.register('echo', (comm, data) => { comm.send({ opened: data }); comm.onMessage((text) => comm.send({ echo: text })); });",
  );
  const heard: [string, unknown][] = [];
  const stop = kernel.client.onMessage((message) => {
    if (message.header.msg_type.startsWith('comm_')) heard.push([message.header.msg_type, message.content.data]);
  });
  kernel.client.request('comm_open', { comm_id: 'c1', target_name: 'echo', data: { a: 1 } });
  await kernel.client.request('comm_msg', { comm_id: 'c1', data: { b: 2 } }).idle;
  assert.deepEqual(heard, [
    ['comm_msg', { opened: { a: 1 } }],
    ['comm_msg', { echo: { b: 2 } }],
  ]);
  const info = await kernel.send('comm_info_request', { target_name: 'echo' });
  assert.deepEqual(info.reply.comms, { c1: { target_name: 'echo' } });
  await kernel.client.request('comm_close', { comm_id: 'c1', data: {} }).idle;
  assert.deepEqual((await kernel.send('comm_info_request', {})).reply.comms, {});
  heard.length = 0;
  await kernel.client.request('comm_open', { comm_id: 'c2', target_name: 'nobody', data: {} }).idle;
  await kernel.run("jupyter.comms.open('page', { hello: 1 }); undefined");
  assert.deepEqual(heard, [
    ['comm_close', {}],
    ['comm_open', { hello: 1 }],
  ]);
  stop();
});

test('input asks the client; where nobody can be asked it says so', async () => {
  kernel.client.onInput = (prompt, password) => `${prompt}|${password}`;
  const ran = await kernel.run("[await input('name? '), await input('secret', { password: true })]");
  assert.equal(ran.result?.['text/plain'], "[ 'name? |false', 'secret|true' ]");
  kernel.client.onInput = undefined;
  const refused = await kernel.run("await input('?')");
  assert.match(String(refused.reply.evalue), /nobody can be asked/);
});

test('requests about code are answered while a cell awaits', async () => {
  const long = kernel.run(`${begunWaiting} ${awaitsGo} 1`);
  await kernel.begins();
  assert.equal((await kernel.send('kernel_info_request', {})).reply.status, 'ok');
  assert.equal((await kernel.goOn(long)).reply.status, 'ok');
});

test('a message with a wrong signature is dropped, and the kernel goes on', async () => {
  const inner = kernel.client as unknown as { connection: { key: string } };
  const right = inner.connection.key;
  inner.connection = { ...inner.connection, key: 'wrong' };
  const request = kernel.client.execute("console.log('forged')");
  inner.connection = { ...inner.connection, key: right };
  let answered = false;
  void request.reply.then(
    () => (answered = true),
    () => undefined,
  );
  // What comes later is answered later.
  assert.equal((await kernel.run('1')).reply.status, 'ok');
  assert.equal(answered, false);
});

test('shutdown ends the process although timers run, and says whether a restart follows', async () => {
  const own = await TestKernel.start();
  await own.run('setInterval(() => undefined, 1000); 1');
  const { reply } = await own.send('shutdown_request', { restart: true }, 'control');
  assert.deepEqual(reply, { status: 'ok', restart: true });
  const exit = await within(own.client.exited, 'the end of the kernel');
  assert.deepEqual(exit, { code: 0, signal: null });
  await own.stop();
});

test('a kernel whose parent is gone ends by itself, also one that is busy', async () => {
  for (const cell of ['1', 'while (true) {}']) await endsAfterItsParent(cell);
});

async function endsAfterItsParent(cell: string): Promise<void> {
  // A process in between, killed without a chance to say goodbye.
  const script = `
    require('ts-node/register/transpile-only');
    const { KernelClient } = require(${JSON.stringify(path.join(__dirname, '../../kernel-ext/protocol/client'))});
    const { kernelSpec } = require(${JSON.stringify(path.join(__dirname, '../../kernel-ext/process/kernelspec'))});
    KernelClient.start({ argv: kernelSpec().argv, cwd: ${JSON.stringify(kernel.folder)} }).then((client) => {
      client.execute(${JSON.stringify(`console.log('runs'); ${cell}`)}, {}, (message) => {
        if (message.header.msg_type === 'stream') console.log(client.child.pid);
      });
    });`;
  const parent = spawn(process.execPath, ['-e', script], {
    cwd: path.join(__dirname, '../..'),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const pid = await new Promise<number>((resolve) =>
    parent.stdout.once('data', (text: Buffer) => resolve(Number(text.toString()))),
  );
  const alive = (): boolean => {
    try {
      process.kill(pid, 0);
      // Ended, but nobody has asked how: where no init collects orphans, they stay in the list.
      return !existsSync(`/proc/${pid}/stat`) || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      return false;
    }
  };
  assert.ok(alive());
  parent.kill('SIGKILL');
  await eventually(() => assert.equal(alive(), false));
}

test('a kernel that cannot start is told', async () => {
  await assert.rejects(
    KernelClient.start({ argv: [process.execPath, '-e', 'process.exit(7)'], cwd: kernel.folder }),
    /the kernel died \(exit status 7\)/,
  );
  await assert.rejects(
    KernelClient.start({
      argv: [process.execPath, '-e', 'setInterval(() => 0, 1000)'],
      cwd: kernel.folder,
      timeout: 400,
    }),
    /did not answer within 0\.4 s/,
  );
});

test('status goes busy and idle around every request', async () => {
  const ran = await kernel.send('is_complete_request', { code: '1' });
  assert.deepEqual(types(ran.all), ['status', 'status']);
  assert.deepEqual(
    ran.all.map((one) => one.content.execution_state),
    ['busy', 'idle'],
  );
});
