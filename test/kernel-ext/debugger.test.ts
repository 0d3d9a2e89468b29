/** The debugger: sequences of the Debug Adapter Protocol, as JupyterLab sends them, to a real kernel. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DebugClient } from './debug-client';
import { TestKernel } from './kernel';

let kernel: TestKernel;
let client: DebugClient;
before(async () => {
  kernel = await TestKernel.start();
  client = new DebugClient(kernel);
  await client.start();
});
after(() => kernel.stop());

const sum = `interface P { x: number }
let total: number = 0;
function add(a: number, b: number): number {
  const s: number = a + b;
  return s;
}
for (let i = 0; i < 3; i++) {
  const p: P = { x: i };
  total = add(total, p.x);
}
total`;

test('debugInfo says that it runs, and how cells are named', async () => {
  const info = await client.ask('debugInfo');
  assert.equal(info.isStarted, true);
  assert.equal(info.hashMethod, 'Murmur2');
  assert.deepEqual([info.stoppedThreads, info.richRendering, info.copyToGlobals], [[], true, true]);
});

test('a breakpoint stops a cell: stack, variables, steps, and on', async () => {
  const { path, lines } = await client.breakIn(sum, { line: 9 });
  assert.deepEqual(lines, [9]);
  assert.equal((await client.ask('source', { source: { path } })).content, sum);
  const running = kernel.run(sum);
  const first = await client.stopped();
  assert.deepEqual([first.reason, first.frames[0].line, first.frames[0].source.path], ['breakpoint', 9, path]);
  const { Locals } = await client.scopes();
  assert.deepEqual([Locals.i, Locals.p, Locals.total], ['0', '{ x: 0 }', '0']);
  assert.deepEqual((await client.ask('evaluate', { expression: '(p as P).x! + 40', frameId: 1 })).result, '40');

  const inside = await client.step('stepIn');
  assert.match(inside.at[0], /^add:4$/);
  assert.equal((await client.scopes()).Locals.b, '0');
  assert.match((await client.step('next')).at[0], /^add:5$/);
  const back = await client.step('stepOut');
  assert.match(back.at[0], /:(?:7|9)$/);
  await client.breakAt(path);
  const { reply, result } = await client.finish(running);
  assert.deepEqual([reply.status, result?.['text/plain']], ['ok', '3']);
  await client.event('continued');
});
