/**
 * The checks of the kernel testbed of runtimed, https://github.com/runtimed/kernel-testbed, by their names and in its four
 * tiers, and each as strictly as the protocol is written.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Request } from 'zeromq';
import { addressOf, type ConnectionInfo, type Json, type Message } from '../../kernel-ext/protocol/messages';
import { type Ran, TestKernel, types } from './kernel';

let kernel: TestKernel;
let connection: ConnectionInfo;
before(async () => {
  // The kernel's connection file is where the kernel's client has put it: in a folder of the temporary folder.
  const temporary = mkdtempSync(path.join(tmpdir(), 'tb-'));
  const usual = process.env.TMPDIR;
  process.env.TMPDIR = temporary;
  try {
    kernel = await TestKernel.start();
  } finally {
    if (usual === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = usual;
  }
  const file = readdirSync(temporary, { recursive: true, encoding: 'utf8' }).find((one) =>
    one.endsWith('connection.json'),
  );
  connection = JSON.parse(readFileSync(path.join(temporary, file ?? ''), 'utf8')) as ConnectionInfo;
});
after(() => kernel?.stop());

const published = (ran: Ran, type: string): Message[] => ran.all.filter((one) => one.header.msg_type === type);
const info = async (): Promise<Json> => (await kernel.send('kernel_info_request', {})).reply;

describe('tier 1: basic protocol', () => {
  test('heartbeat_responds', async () => {
    const heart = new Request({ linger: 0, receiveTimeout: 30_000 });
    heart.connect(addressOf(connection, connection.hb_port));
    await heart.send('beat');
    assert.deepEqual((await heart.receive()).map(String), ['beat']);
    heart.close();
  });
  test('kernel_info_reply_valid', async () => assert.equal((await info()).status, 'ok'));
  test('kernel_info_has_language_info', async () => {
    const { name, version, mimetype, file_extension } = (await info()).language_info as Record<string, string>;
    assert.deepEqual([name, mimetype, file_extension], ['typescript', 'text/typescript', '.ts']);
    assert.match(version, /^\d+\.\d+/);
  });
  test('kernel_info_has_protocol_version', async () =>
    assert.match(String((await info()).protocol_version), /^5\.\d$/));
  test('execute_stdout', async () => assert.equal((await kernel.run("console.log('hello')")).stdout, 'hello\n'));
  test('execute_stderr', async () => assert.equal((await kernel.run("console.error('error')")).stderr, 'error\n'));
  test('execute_reply_ok', async () => assert.equal((await kernel.run('const x = 1;')).reply.status, 'ok'));
  test('status_busy_idle_lifecycle', async () => {
    const states = published(await kernel.run('const y = 1;'), 'status').map((one) => one.content.execution_state);
    assert.deepEqual(states, ['busy', 'idle']);
  });
  test('execute_input_broadcast', async () => {
    const [input] = published(await kernel.run('const z = 1;'), 'execute_input');
    assert.equal(input.content.code, 'const z = 1;');
  });
  test('shutdown_reply', async () => {
    const other = await TestKernel.start();
    const { reply } = other.client.request('shutdown_request', { restart: false }, 'control', () => undefined);
    assert.deepEqual({ ...(await reply).content }, { status: 'ok', restart: false });
    await other.stop();
  });
});

describe('tier 2: interactive features', () => {
  test('complete_request', async () => {
    await kernel.run('const testVariable = 42;');
    const { reply } = await kernel.send('complete_request', { code: 'testVar', cursor_pos: 7 });
    assert.deepEqual([reply.status, (reply.matches as string[])[0]], ['ok', 'testVariable']);
    assert.deepEqual([reply.cursor_start, reply.cursor_end], [0, 7]);
  });
  test('inspect_request', async () => {
    const { reply } = await kernel.send('inspect_request', { code: 'testVariable', cursor_pos: 12, detail_level: 0 });
    assert.deepEqual([reply.status, reply.found], ['ok', true]);
  });
  test('is_complete_complete', async () => {
    assert.equal((await kernel.send('is_complete_request', { code: 'const x = 1;' })).reply.status, 'complete');
  });
  test('is_complete_incomplete', async () => {
    assert.equal((await kernel.send('is_complete_request', { code: 'function f() {' })).reply.status, 'incomplete');
  });
  test('history_request', async () => {
    const request = { hist_access_type: 'tail', n: 10, output: false, raw: true };
    const { reply } = await kernel.send('history_request', request);
    assert.equal(reply.status, 'ok');
    assert.ok((reply.history as unknown[]).length > 0);
  });
  test('comm_info_request', async () => {
    assert.deepEqual({ ...(await kernel.send('comm_info_request', {})).reply }, { status: 'ok', comms: {} });
  });
  test('error_handling', async () => {
    const ran = await kernel.run('const = ;');
    assert.equal(ran.reply.status, 'error');
    assert.deepEqual(types(ran.outputs), ['error']);
  });
});

describe('tier 3: rich output', () => {
  const html = "{ [Symbol.for('Jupyter.display')]: () => ({ 'text/html': '<b>bold</b>', 'text/plain': 'bold' }) }";
  test('display_data', async () => {
    const ran = await kernel.run(`import { display, updateDisplay } from 'unilab';\nawait display(${html});`);
    const [shown] = published(ran, 'display_data');
    assert.match(String((shown.content.data as Json)['text/html']), /<b>bold<\/b>/);
  });
  test('update_display_data', async () => {
    const ran = await kernel.run("await display('1', { id: 'd' });\nawait updateDisplay('d', '2');");
    assert.deepEqual(types(ran.outputs), ['display_data', 'update_display_data']);
    assert.deepEqual(ran.outputs[1].content.transient, { display_id: 'd' });
  });
  test('execute_result', async () => assert.equal((await kernel.run('1 + 1')).result?.['text/plain'], '2'));
  test('rich_execute_result', async () =>
    assert.match((await kernel.run(`(${html})`)).result?.['text/html'] ?? '', /bold/));
});

describe('tier 4: advanced features', () => {
  test('stdin_input_request', async () => {
    kernel.client.onInput = () => 'test_input_42';
    try {
      assert.equal((await kernel.run("console.log(await input('Enter: '))")).stdout, 'test_input_42\n');
    } finally {
      kernel.client.onInput = undefined;
    }
  });
  test('comms_lifecycle', async () => {
    const comm_id = randomUUID();
    const closed = new Promise<Message>((resolve) =>
      kernel.client.onMessage((one) => one.header.msg_type === 'comm_close' && resolve(one)),
    );
    kernel.client.request('comm_open', { comm_id, target_name: 'testbed.none', data: {} }, 'shell', () => undefined);
    assert.equal((await closed).content.comm_id, comm_id);
    assert.equal((await kernel.run('const after = 1;')).reply.status, 'ok');
  });
  test('interrupt_request', async () => {
    assert.equal((await kernel.send('interrupt_request', {}, 'control')).reply.status, 'ok');
    assert.equal((await kernel.run('const later = 1;')).reply.status, 'ok');
  });
  test('execution_count_increments', async () => {
    const [first, second] = [await kernel.run('const n1 = 1;'), await kernel.run('const n2 = 1;')];
    assert.equal(second.reply.execution_count, Number(first.reply.execution_count) + 1);
  });
  test('parent_header_correlation', async () => {
    const ran = await kernel.run("console.log('hello')");
    const ids = new Set(ran.all.map((one) => one.parent.msg_id));
    assert.equal(ids.size, 1);
    assert.ok(![...ids].includes(undefined));
  });
});
