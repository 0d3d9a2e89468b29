import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type Ran, TestKernel, types } from './kernel';

let kernel: TestKernel;
before(async () => {
  kernel = await TestKernel.start();
});
after(() => kernel.stop());

const plain = (ran: Ran): string | undefined => ran.result?.['text/plain'];
const trace = (ran: Ran): string => (ran.reply.traceback as string[]).join('\n').replace(/\u001b\[[0-9;]*m/g, '');

test('a value that throws when it is looked at is shown somehow, and the kernel is idle after it', async () => {
  const values: [code: string, shown: RegExp][] = [
    ["({ a: 1, [Symbol.for('nodejs.util.inspect.custom')]() { throw new Error('inspecting'); } })", /a: 1/],
    [
      "class Sample { get [Symbol.toStringTag](): string { throw new Error('tag'); } }\nnew Sample()",
      /Sample|cannot be shown/,
    ],
    ["new Proxy({ b: 2 }, { get() { throw new Error('trap'); } })", /b: 2/],
    [
      "new Proxy({}, { get() { throw new Error('trap'); }, has() { throw new Error('has'); }, ownKeys() { throw new Error('keys'); } })",
      /\{\}/,
    ],
  ];
  for (const [code, shown] of values) {
    const ran = await kernel.run(code, { user_expressions: { same: code.split('\n').at(-1) } });
    assert.equal(ran.reply.status, 'ok', code);
    assert.match(String(plain(ran)), shown, code);
    assert.equal(typeof ran.reply.execution_count, 'number');
    const { same } = ran.reply.user_expressions as { same: { status: string } };
    assert.equal(same.status, 'ok', code);
    const states = (await kernel.send('kernel_info_request', {})).all.map(({ content }) => content.execution_state);
    assert.equal(states.at(-1), 'idle', code);
  }
});

test('a display method that fails, and a thrown value that cannot be looked at, are published errors', async () => {
  const cells = [
    "({ [Symbol.for('Jupyter.display')]() { throw new Error('own method'); } })",
    'throw new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; } })',
  ];
  for (const code of cells) {
    const ran = await kernel.run(code);
    assert.equal(ran.reply.status, 'error', code);
    assert.deepEqual(types(ran.outputs), ['error'], code);
    assert.equal(typeof ran.reply.execution_count, 'number', code);
  }
});

test('bytes in a bundle become base64, or text where the type is text', async () => {
  const bundle = `{ 'image/png': Buffer.from('iVBORw0KGgo=', 'base64'), 'image/gif': new Uint8Array([1, 2]).buffer,
    'text/html': Buffer.from('<b>é</b>'), 'text/plain': 7, 'application/json': { n: 1 }, 'text/markdown': undefined }`;
  const ran = await kernel.run(`({ [Symbol.for('Jupyter.display')]: () => (${bundle}) })`);
  assert.deepEqual(ran.result, {
    'image/png': 'iVBORw0KGgo=',
    'image/gif': 'AQI=',
    'text/html': '<b>é</b>',
    'text/plain': '7',
    'application/json': { n: 1 },
  });
});

test('an error in a local file names that file and its line', async () => {
  writeFileSync(path.join(kernel.folder, 'lib.js'), 'exports.a = 1;\nexports.b = ;\n');
  writeFileSync(path.join(kernel.folder, 'throws.js'), "\nthrow new Error('at load');\n");
  writeFileSync(
    path.join(kernel.folder, 'throws-too.ts'),
    "export const x: number = 1;\nthrow new Error('at load');\n",
  );
  assert.match(
    trace(await kernel.run("const lib = require('./lib.js');")),
    /lib\.js:2\n.*exports\.b = ;\n[^]*Unexpected token/,
  );
  assert.match(trace(await kernel.run("import './throws';")), /throws\.js:2:7/);
  assert.match(trace(await kernel.run("import './throws-too';")), /throws-too\.ts:2:7/);
});

test('an error that passes through an earlier cell keeps what both declared', async () => {
  await kernel.run("export function fromEarlier(): never { throw new Error('deep'); } import 'node:fs';");
  const ran = await kernel.run("import 'node:path'; const before = 1; fromEarlier(); const behind = 2;");
  assert.match(trace(ran), /cell \d+:1:\d+[^]*cell \d+:1:\d+/);
  assert.equal(plain(await kernel.run('before')), '1');
  assert.match(String((await kernel.run('behind')).reply.evalue), /Cannot find name/);
});
