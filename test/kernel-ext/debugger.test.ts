/** The debugger: sequences of the Debug Adapter Protocol, as JupyterLab sends them, to a real kernel. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Json } from '../../kernel-ext/protocol/messages';
import { Rng } from '../../src/engine/random';
import { DebugClient } from './debug-client';
import { begun, TestKernel } from './kernel';

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
  const { path: cell, lines } = await client.breakIn(sum, { line: 9 });
  assert.deepEqual(lines, [9]);
  assert.equal((await client.ask('source', { source: { path: cell } })).content, sum);
  const running = kernel.run(sum);
  const first = await client.stopped();
  assert.deepEqual([first.reason, first.frames[0].line, first.frames[0].source.path], ['breakpoint', 9, cell]);
  const { Locals } = await client.scopes();
  assert.deepEqual([Locals.i, Locals.p, Locals.total], ['0', '{ x: 0 }', '0']);
  assert.deepEqual((await client.ask('evaluate', { expression: '(p as P).x! + 40', frameId: 1 })).result, '40');

  const inside = await client.step('stepIn');
  assert.match(inside.at[0], /^add:4$/);
  assert.equal((await client.scopes()).Locals.b, '0');
  assert.match((await client.step('next')).at[0], /^add:5$/);
  const back = await client.step('stepOut');
  assert.match(back.at[0], /:(?:7|9)$/);
  await client.breakAt(cell);
  const { reply, result } = await client.finish(running);
  assert.deepEqual([reply.status, result?.['text/plain']], ['ok', '3']);
  await client.event('continued');
});

test('a condition in TypeScript; closures; what other frames hold', async () => {
  const code = `function outer(k: number): number {
  const inner = (v: number): number => {
    return v * k;
  };
  return inner(4);
}
let got = 0;
for (let i = 0; i < 6; i++) {
  got += outer(i);
}
got`;
  const { path: cell } = await client.breakIn(code, { line: 3, condition: 'k === (4 as number)' });
  const running = kernel.run(code);
  const { at } = await client.stopped();
  assert.deepEqual(at.slice(0, 2), ['inner:3', 'outer:5']);
  const scopes = await client.scopes();
  assert.deepEqual([scopes.Locals.v, scopes.Closure.k], ['4', '4']);
  assert.equal((await client.scopes(2)).Locals.k, '4');
  await client.breakAt(cell);
  assert.equal((await client.finish(running)).result?.['text/plain'], '60');
});

test('a step over an await ends on the next line, with or without code that takes time', async () => {
  const code = `const r: number = await new Promise<number>((ok) => setTimeout(() => ok(3), 30));
const q = r + 1;
await null;
q`;
  await client.breakIn(code, { line: 1 });
  const running = kernel.run(code);
  assert.match((await client.stopped()).at[0], /:1$/);
  assert.match((await client.step('next')).at[0], /:2$/);
  assert.equal((await client.scopes()).Locals.r, '3');
  assert.match((await client.step('next')).at[0], /:3$/);
  assert.match((await client.step('next')).at[0], /:4$/);
  assert.equal((await client.finish(running)).result?.['text/plain'], '4');
});

test('a function of a cell that ran before anybody debugged has breakpoints, too', async () => {
  const early = await TestKernel.start();
  const late = new DebugClient(early);
  try {
    const code = `function twice(v: number): number {
  const d = 2 * v;
  return d;
}`;
    await early.run(code);
    await late.start();
    const { lines } = await late.breakIn(code, { line: 3 });
    assert.deepEqual(lines, [3]);
    const running = early.run('twice(21)');
    const { at, frames } = await late.stopped();
    assert.equal(at[0], 'twice:3');
    assert.match(frames[1].name, /^cell-2$/);
    assert.equal((await late.scopes()).Locals.d, '42');
    assert.equal((await late.finish(running)).result?.['text/plain'], '42');
  } finally {
    await early.stop();
  }
});

test('a local file stops in the very cell that loads it, and in a later one', async () => {
  const file = path.join(kernel.folder, 'local.ts');
  writeFileSync(
    file,
    `export interface Pair {
  a: number;
}

export function half(pair: Pair): number {
  const h = pair.a / 2;
  return h;
}

export const ready = half({ a: 8 });
`,
  );
  assert.deepEqual(await client.breakAt(file, { line: 7 }), [7]);
  const loading = kernel.run("import { half, ready } from './local';\nhalf({ a: ready })");
  const first = await client.stopped();
  assert.deepEqual([first.at[0], first.frames[0].source.path], ['half:7', file]);
  assert.equal((await client.scopes()).Locals.h, '4');
  await client.ask('continue', { threadId: 1 });
  await client.stopped();
  assert.equal((await client.scopes()).Locals.h, '2');
  assert.equal((await client.finish(loading)).result?.['text/plain'], '2');
  const later = kernel.run('half({ a: 10 })');
  assert.equal((await client.stopped()).at[0], 'half:7');
  assert.deepEqual(await client.breakAt(file), []);
  assert.equal((await client.finish(later)).result?.['text/plain'], '5');
});

test('the kernel’s variables are seen while nothing is stopped; a value is copied to them from a frame', async () => {
  await kernel.run('const words = ["a", "b"]; let pi = 3.5; const map = new Map([["k", { v: 1 }]]); const yes = true;');
  const variables = await client.kernelVariables();
  assert.deepEqual([variables.pi.value, variables.pi.type, variables.yes.type], ['3.5', 'float', 'bool']);
  assert.match(variables.words.value, /"a", "b"/);
  const [entry] = (await client.variables(variables.map.variablesReference)).slice(-1);
  assert.deepEqual([entry.name, entry.value], ['0', '{"k" => Object}']);

  const code = 'for (const word of words) {\n  const long = word + word;\n  String(long);\n}';
  const { path: cell } = await client.breakIn(code, { line: 3 });
  const running = kernel.run(code);
  await client.stopped();
  await client.ask('copyToGlobals', { srcVariableName: 'long', dstVariableName: 'kept', srcFrameId: 1 });
  assert.equal((await client.ask('evaluate', { expression: 'words.length + pi', frameId: 1 })).result, '5.5');
  await client.breakAt(cell);
  await client.finish(running);
  assert.equal((await client.kernelVariables()).kept.value, '"aa"');
});

test('tensors and images are shown as in a notebook, stopped or not', async () => {
  const made = await kernel.run(`import * as tf from '@tensorflow/tfjs';
const w = tf.tensor([[1, 2.5], [3, 4]]);
const photo = tf.tensor3d(new Float32Array(8 * 8 * 3).fill(0.5), [8, 8, 3]);
const square = { width: 4, height: 4, rgb: new Uint8Array(48).fill(200) };`);
  assert.equal(made.reply.status, 'ok', JSON.stringify(made.reply.traceback));
  const look = async (variableName: string, args: Json = {}): Promise<Record<string, string>> =>
    (await client.ask<{ data: Record<string, string> }>('richInspectVariables', { variableName, ...args })).data;
  const { w } = await client.kernelVariables();
  assert.equal(w.value, 'Tensor float32 [2,2] 16 B, 1 … 4: 1, 2.5, 3, 4');
  for (const stopped of [false, true]) {
    const running = stopped ? kernel.run('function stop(): void {\n  debugger;\n}\nstop();') : undefined;
    if (stopped) await client.stopped();
    const args = stopped ? { frameId: 1 } : {};
    assert.match((await look('w', args))['text/html'], /float32 \[2, 2\][^]*min 1 · max 4 · mean 2.625/);
    assert.match((await look('photo', args))['text/html'], /data:image\/png;base64/);
    assert.match((await look('square', args))['text/html'], /data:image\/png;base64/);
    if (running) await client.finish(running);
  }
  assert.equal((await client.response('richInspectVariables', { variableName: 'nowhere' })).success, false);
});

test('exceptions: those that people’s code does not catch, or all', async () => {
  await client.ask('setExceptionBreakpoints', { filters: ['uncaught'] });
  assert.equal((await kernel.run("try { throw new Error('caught') } catch {}\n1")).reply.status, 'ok');
  const failing = kernel.run("function bad(): number {\n  throw new Error('no');\n}\nbad()");
  const { reason, at, text } = await client.stopped();
  assert.deepEqual([reason, at[0]], ['exception', 'bad:2']);
  assert.match(String(text), /^Error: no/);
  assert.equal((await client.finish(failing)).reply.ename, 'Error');
  await client.ask('setExceptionBreakpoints', { filters: ['all'] });
  const caught = kernel.run("try {\n  throw new Error('caught');\n} catch {}\n1");
  assert.match((await client.stopped()).at[0], /:2$/);
  assert.equal((await client.finish(caught)).reply.status, 'ok');
  await client.ask('setExceptionBreakpoints', { filters: [] });
});

test('an interrupt ends stopped code, and the next cell runs', async () => {
  const code = 'let n = 0;\nfor (let i = 0; i < 1e9; i++) {\n  n += i;\n}';
  for (const how of ['signal', 'message'] as const) {
    const cell = `${code}\n'${how}'`;
    await client.breakIn(cell, { line: 3 });
    const running = kernel.run(cell);
    await client.stopped();
    if (how === 'signal') kernel.client.interrupt();
    else await kernel.send('interrupt_request', {}, 'control');
    assert.equal((await running).reply.ename, 'Interrupted');
    assert.equal((await kernel.run('2 + 2')).result?.['text/plain'], '4');
  }
  assert.deepEqual((await client.ask('debugInfo')).stoppedThreads, []);
});

test('two signals in a row end stopped code, and nothing else', async () => {
  const rng = new Rng(15);
  for (let round = 0; round < 30; round++) {
    const cell = `${round % 2 ? 'await null;' : ''}let m = ${round};\nfor (let i = 0; i < 1e9; i++) {\n  m += i;\n}`;
    await client.breakIn(cell, { line: 3 });
    const running = kernel.run(cell);
    await client.stopped();
    kernel.client.interrupt();
    if (round % 4 > 0) await sleep(rng.uniform() * 30);
    if (round % 3 > 0) kernel.client.interrupt();
    else await kernel.send('interrupt_request', {}, 'control');
    assert.equal((await running).reply.ename, 'Interrupted', `round ${round}`);
    await kernel.quiet(); // the second may still be on its way
    assert.equal((await kernel.run('2 + 2')).result?.['text/plain'], '4', `round ${round}`);
  }
});

test('a loop that calls nothing is paused, and answers for itself', async () => {
  const running = kernel.run(`let turns = 0;\nfor (;;) {\n  turns += 1;\n  if (turns === 2000) ${begun}\n}`);
  await kernel.begins();
  await client.ask('pause', { threadId: 1 });
  assert.equal((await client.stopped()).reason, 'pause');
  assert.ok(Number((await client.scopes()).Locals.turns) > 1000);
  await kernel.send('interrupt_request', {}, 'control');
  assert.equal((await running).reply.ename, 'Interrupted');
});

test('completion and kernel_info are answered while a cell is stopped', async () => {
  const code = 'const here = [1];\nhere.length';
  await client.breakIn(code, { line: 2 });
  const running = kernel.run(code);
  await client.stopped();
  assert.equal((await kernel.send('kernel_info_request', {}, 'control')).reply.debugger, true);
  const { reply } = await kernel.send('complete_request', { code: 'words.fi', cursor_pos: 8 });
  assert.ok((reply.matches as string[]).includes('filter'));
  await client.finish(running);
});

test('an unknown request and one that cannot be met are failures, not the end', async () => {
  assert.match(String((await client.response('fly')).message), /does not know the request 'fly'/);
  assert.match(String((await client.response('next', { threadId: 1 })).message), /nothing is stopped/);
  assert.match(
    String((await client.response('evaluate', { expression: 'nowhere' })).message),
    /nowhere is not defined/,
  );
});

test('disconnect lets go of what is stopped; the debugger can be started again', async () => {
  const code = 'const last = 1;\nlast + 1';
  await client.breakIn(code, { line: 2 });
  const running = kernel.run(code);
  await client.stopped();
  await client.ask('disconnect', { restart: false, terminateDebuggee: false });
  assert.equal((await running).result?.['text/plain'], '2');
  assert.deepEqual((await client.ask('debugInfo')).breakpoints, []);
  assert.equal((await kernel.run(code)).reply.status, 'ok');
  await client.start();
  await client.breakIn(code, { line: 1 });
  const again = kernel.run(code);
  assert.match((await client.stopped()).at[0], /:1$/);
  await client.finish(again);
});
