import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../eventually';
import { isToWait, TestKernel, types } from './kernel';

let kernel: TestKernel;
before(async () => (kernel = await TestKernel.start()));
after(() => kernel.stop());

test('20,000 lines of one synchronous cell arrive, in order, and idle comes last', async () => {
  const ran = await kernel.run("for (let i = 0; i < 20_000; i++) console.log('line', i);");
  assert.equal(ran.stdout, Array.from({ length: 20_000 }, (_, i) => `line ${i}\n`).join(''));
  assert.equal(ran.reply.status, 'ok');
  const last = ran.all.at(-1);
  assert.deepEqual([last?.header.msg_type, last?.content.execution_state], ['status', 'idle']);
  assert.ok(ran.outputs.length < 2000, 'pieces are joined');
});

test('2,000 updates of a display from one synchronous cell arrive, in order', async () => {
  const ran = await kernel.run(
    `import { display, updateDisplay } from 'unilab/display';
     void display('start', { id: 'one' });
     for (let i = 0; i < 2000; i++) void updateDisplay('one', i);
     console.log('after');`,
  );
  assert.equal(ran.reply.status, 'ok', JSON.stringify(ran.reply));
  const updates = ran.outputs.filter((one) => one.header.msg_type === 'update_display_data');
  assert.deepEqual(
    updates.map((one) => (one.content.data as Record<string, string>)['text/plain']),
    Array.from({ length: 2000 }, (_, i) => String(i)),
  );
  assert.ok(updates.every((one) => (one.content.transient as { display_id: string }).display_id === 'one'));
  assert.deepEqual(types(ran.outputs.slice(-1)), ['stream'], 'what was printed after the displays comes after them');
});

test('10 MB in one line arrive whole', async () => {
  const ran = await kernel.run("process.stdout.write('x'.repeat(10_000_000) + '\\n');");
  assert.equal(ran.stdout.length, 10_000_001);
});

test('output of code that never yields is heard while it runs', async () => {
  let heard = 0;
  const stop = kernel.client.onMessage((message) => {
    if (message.header.msg_type === 'stream') heard += 1;
  });
  const running = kernel.run(`while (${isToWait}) { console.log(1); }`);
  // The cell ends when it is told to: all of this is heard before.
  await eventually(() => assert.ok(heard > 3, `${heard} pieces`));
  stop();
  await kernel.goOn(running);
});

test('the last expression is an execute_result, with the execute_input before it and counts that go up', async () => {
  const ran = await kernel.run('1 + 1');
  assert.deepEqual(types(ran.all), ['status', 'execute_input', 'execute_result', 'status']);
  assert.deepEqual(ran.result, { 'text/plain': '2' });
  const [input] = ran.all.filter((one) => one.header.msg_type === 'execute_input');
  assert.equal(input.content.code, '1 + 1');
  assert.equal(input.content.execution_count, ran.reply.execution_count);
  const next = await kernel.run('undefined');
  assert.equal(next.reply.execution_count, Number(ran.reply.execution_count) + 1);
  assert.equal(next.result, undefined);
});

test('values show themselves: own classes, vega-lite, tensors; order with printed text is kept', async () => {
  const own = await kernel.run(
    "class Mine { async [Symbol.for('Jupyter.display')]() { await null; return { 'text/html': '<i>mine</i>' } } }\nnew Mine()",
  );
  assert.deepEqual(own.result, { 'text/html': '<i>mine</i>', 'text/plain': '[Mine: text/html]' });
  const plot = await kernel.run(
    "({ $schema: 'https://vega.github.io/schema/vega-lite/v5.json', title: 'bars', data: { values: [{ a: 1, b: 2 }] }, mark: 'bar', encoding: { x: { field: 'a' }, y: { field: 'b' } } })",
  );
  assert.deepEqual(Object.keys(plot.result ?? {}).sort(), [
    'application/vnd.vegalite.v5+json',
    'image/png',
    'image/svg+xml',
    'text/plain',
  ]);
  const order = await kernel.run(
    `import { display as show, imageGrid } from 'unilab/display';
     console.log('before');
     void show(imageGrid({ width: 8, height: 8, rgb: new Uint8Array(192) }));
     console.log('behind'); 'value'`,
  );
  assert.deepEqual(types(order.outputs), ['stream', 'display_data', 'stream', 'execute_result']);
});

test('a live display ends in its last state although nobody ended it', async () => {
  const ran = await kernel.run(
    `import { LiveDisplay } from 'unilab/display';
     const live = new LiveDisplay('0');
     for (let i = 1; i <= 500; i++) live.update(String(i));`,
  );
  const shown = ran.outputs.map((one) => (one.content.data as Record<string, string>)['text/plain']);
  assert.equal(shown.at(-1), '500');
  assert.ok(shown.length <= 3, `${shown.length} messages`);
});

test("clear_output, and tslab's own display functions", async () => {
  const ran = await kernel.run(
    `import { clearOutput } from 'unilab/display';
     import * as tslab from 'tslab';
     tslab.display.html('<b>t</b>');
     await clearOutput(true);
     console.log('new');`,
  );
  assert.deepEqual(types(ran.outputs), ['display_data', 'clear_output', 'stream']);
  assert.deepEqual(ran.outputs[1].content, { wait: true });
});

test('silent runs publish nothing and count nothing; store_history: false shows but does not count', async () => {
  const before = Number((await kernel.run('0')).reply.execution_count);
  const silent = await kernel.run("console.log('unheard'); 5", { silent: true });
  assert.deepEqual(types(silent.outputs), []);
  assert.equal(silent.reply.execution_count, before);
  const unstored = await kernel.run("console.log('heard'); 5", { store_history: false });
  assert.equal(unstored.stdout, 'heard\n');
  assert.equal((await kernel.run('0')).reply.execution_count, before + 1);
});

test('user_expressions are evaluated, each with its own fate', async () => {
  const ran = await kernel.run('const base = 20;', { user_expressions: { good: 'base + 1', bad: 'base.nothing' } });
  const results = ran.reply.user_expressions as Record<string, { status: string; data?: object; ename?: string }>;
  assert.deepEqual(results.good, { status: 'ok', data: { 'text/plain': '21' }, metadata: {} });
  assert.equal(results.bad.status, 'error');
});

test('what children inherit and what fs writes to 1 and 2 is the cell’s output, in order', async () => {
  const ran = await kernel.run(
    "import { execSync, fork, spawn, spawnSync } from 'node:child_process';\nimport fs from 'node:fs';\n" +
      "console.log('a');\nspawnSync('sh', ['-c', 'echo b; echo B >&2'], { stdio: 'inherit' });\nconsole.log('c');\n" +
      "execSync('echo d', { stdio: ['ignore', 'inherit', 'pipe'] });\nfs.writeSync(1, 'e\\n');\nfs.writeSync(2, Buffer.from('xE\\n'), 1);\n" +
      "await new Promise((done) => spawn('sh', ['-c', 'echo f; cat'], { stdio: 'inherit' }).on('close', done));\nfs.writeFileSync('/dev/stdout', 'g\\n');\n" +
      "fs.writeFileSync('child.cjs', \"console.log('h'); process.exit(0)\");\nawait new Promise((done) => fork('./child.cjs').on('close', done));\n" +
      "spawnSync('sh', ['-c', 'echo i'], { stdio: [0, process.stdout, 2] }).stdout",
  );
  assert.equal(ran.reply.status, 'ok', String(ran.reply.evalue));
  assert.equal(ran.stdout, 'a\nb\nc\nd\ne\nf\ng\nh\ni\n');
  assert.equal(ran.stderr, 'B\nE\n');
  assert.equal(ran.result?.['text/plain'], 'null');
});

test('a child that prints much is heard while the cell waits for it; a pipe is a pipe', async () => {
  const ran = await kernel.run(
    "import { spawnSync } from 'node:child_process';\nspawnSync('sh', ['-c', 'for i in 1 2 3 4; do head -c 250000 /dev/zero | tr \"\\\\\\\\0\" x; done'], { stdio: 'inherit' });\n" +
      "spawnSync('echo', ['piped']).stdout.toString()",
  );
  assert.equal(ran.stdout.length, 1_000_000);
  assert.equal(ran.result?.['text/plain'], "'piped\\n'");
});

test('reading standard input is an error at once, in every way', async () => {
  const ways = [
    "import readline from 'node:readline/promises';\nconst lines = readline.createInterface({ input: process.stdin, output: process.stdout });\nawait lines.question('name? ')",
    'for await (const line of process.stdin) console.log(line);',
    "require('node:fs').readFileSync(0, 'utf8')",
    "require('node:fs').readFileSync('/dev/stdin')",
    "require('node:fs').readSync(0, Buffer.alloc(1))",
    "await new Promise((done, failed) => require('node:fs').read(0, Buffer.alloc(1), 0, 1, null, (e: Error) => e ? failed(e) : done(1)))",
    "await new Promise((done) => process.stdin.on('data', done))",
  ];
  for (const way of ways) {
    const ran = await kernel.run(way);
    assert.match(String(ran.reply.evalue), /await input\('name\? '\)/, way);
    assert.ok(ran.milliseconds < 30_000);
  }
  assert.equal((await kernel.run('2 + 2')).result?.['text/plain'], '4');
});
