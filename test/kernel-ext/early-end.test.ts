import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { begun, begunWaiting, type Ran, TestKernel } from './kernel';

let kernel: TestKernel;
before(async () => {
  kernel = await TestKernel.start();
  await kernel.run('const fails = (): number => { throw new Error("in a function"); };');
});
after(() => kernel.stop());

const shown = (ran: Ran): string => ran.result?.['text/plain'] ?? String(ran.reply.evalue);

/** Runs a cell that is to fail. */
async function failing(code: string, message: RegExp): Promise<void> {
  const { reply } = await kernel.run(code);
  assert.equal(reply.status, 'error', code);
  assert.match(String(reply.evalue), message, code);
}

async function gives(code: string, expected: string): Promise<void> {
  assert.equal(shown(await kernel.run(code)), expected, code);
}

test('a cell that throws leaves what it declared before', async () => {
  await failing("const lab = { steps: 3 };\nfunction help() { return 1; }\nthrow new Error('later');", /later/);
  await gives('[lab.steps, help()]', '[ 3, 1 ]');
});

test('every kind of declaration survives, with its type', async () => {
  await failing(
    `import { sep, type ParsedPath } from 'node:path';
import * as os from 'node:os';
import assertion from 'node:assert/strict';
const fixed = 1, text = 'two';
let changing: number | undefined;
let counted = 0; counted += 5;
var old = 'v';
const { a, b: [c], ...rest } = { a: 1, b: [2], d: 3 };
class Box<T> { constructor(readonly held: T) {} }
abstract class Shape extends (class { sides = 4; }) {}
enum Side { left, right }
const enum Fast { on = 7 }
interface Named { name: string }
type Pair = [Named, Named];
namespace Tools { export const twice = (n: number) => 2 * n; }
if (counted) { var inBlock = 6; }
for (var i = 0; i < 3; i++) { var [inLoop] = [i]; }
for (var k of ['x', 'y']) ;
async function later() { return 8; }
function* steps() { yield 9; }
fails();`,
    /in a function/,
  );
  await gives('[sep, typeof os.cpus, typeof assertion.equal]', "[ '/', 'function', 'function' ]");
  await gives('[fixed.toFixed(1), text.toUpperCase(), changing, counted, old]', "[ '1.0', 'TWO', undefined, 5, 'v' ]");
  await gives('[a, c, rest.d, inBlock, i, inLoop]', '[ 1, 2, 3, 6, 3, 2 ]');
  await gives('k.toUpperCase()', "'Y'");
  await gives('const box: Box<number> = new Box(4); [box.held, Side.right, Fast.on]', '[ 4, 1, 7 ]');
  await gives(
    "const pair: Pair = [{ name: 'x' }, { name: 'y' }]; const where: ParsedPath | undefined = undefined; pair.length",
    '2',
  );
  await gives(
    '[Tools.twice(4), await later(), [...steps()], new (class extends Shape {})().sides]',
    '[ 8, 8, [ 9 ], 4 ]',
  );
  await gives('[Tools.twice(5), Side.left, new Box(1).held]', '[ 10, 0, 1 ]');
  await failing('const wrong: string = fixed;', /not assignable/);
});

test('what a cell did not come to is not there; functions are', async () => {
  await failing(
    "const reached = 1, unreached = fails(), after = 2;\nconst last = 3;\nfunction below() { return 'below'; }",
    /in a function/,
  );
  await gives('[reached, below()]', "[ 1, 'below' ]");
  for (const name of ['unreached', 'after', 'last']) await failing(name, /Cannot find name/);
});

test('a name declared anew has its new type with its new value, or its old type with its old value', async () => {
  for (const word of ['', '\nawait null;']) {
    await kernel.run("const q = 'str'; const r = 'kept'; class K { one = 1 } let n = [1];");
    await failing(`const q = 5;${word} fails(); const r = 7; class K { two = 2 } let n = 'text';`, /in a function/);
    await gives('[q.toFixed(1), r.toUpperCase(), new K().one, n.length]', "[ '5.0', 'KEPT', 1, 1 ]");
  }
  await kernel.run("const fromOld = (): unknown => q; const q = 'seen';");
  await failing('const q = Number(String(fromOld()).length) + fails();', /in a function/);
  await gives('q.toUpperCase()', "'SEEN'");
});

test('types and values of one name are apart; namespaces stay from cell to cell', async () => {
  await kernel.run('interface Both { kept: number }\nclass Gone {}\nnamespace Far { export const v = 1; }');
  await failing('const Both = 3; type Gone = number; fails();', /in a function/);
  await gives('const both: Both = { kept: Both }; const gone: Gone = both.kept; gone', '3');
  await gives('Far.v + 1', '2');
  await gives('typeof Gone', "'function'");
});

test('failing in an await, in a rejection that nobody handles, and in what an import runs', async () => {
  await failing("const before = 1; await Promise.reject(new Error('in an await')); const behind = 2;", /in an await/);
  await gives('before', '1');
  await failing('behind', /Cannot find name/);
  await failing(
    "const started = 1; void Promise.reject(new Error('nobody')); await new Promise((r) => setTimeout(r, 5000)); const done = 1;",
    /nobody/,
  );
  await gives('started', '1');
  writeFileSync(path.join(kernel.folder, 'broken.ts'), "export const x = 1;\nthrow new Error('at load');\n");
  await failing("const first = 1;\nconst second = await import('./broken');", /at load/);
  await gives('first', '1');
});

test('a cell interrupted by a signal or by a message leaves what it declared', async () => {
  const byMessage = (): unknown => kernel.send('interrupt_request', {}, 'control');
  const bySignal = (): unknown => kernel.client.interrupt();
  const wait = 'await new Promise((r) => setTimeout(r, 20));';
  for (const [i, interrupt] of [bySignal, byMessage].entries()) {
    const request = kernel.client.execute(
      `const lab${i} = { steps: 0 }; type Lab${i} = typeof lab${i};\nfor (;;) { if (++lab${i}.steps === 3) { ${begunWaiting} } ${wait} }\nconst end${i} = 1;`,
    );
    await kernel.begins();
    interrupt();
    assert.equal((await request.reply).content.ename, 'Interrupted');
    await gives(`const copy${i}: Lab${i} = lab${i}; copy${i}.steps > 0`, 'true');
    await failing(`end${i}`, /Cannot find name/);
  }
});

test('a loop that never yields leaves what it declared when it is stopped', async () => {
  for (const code of [
    `const state = { n: 1 }; ${begun} for (;;) state.n++;`,
    `const state = { n: 1 }; await null; ${begun} for (;;) state.n++;`,
  ]) {
    const request = kernel.client.execute(code);
    await kernel.begins();
    kernel.client.interrupt();
    const again = setInterval(() => kernel.client.interrupt(), 1500);
    assert.equal((await request.reply).content.ename, 'Interrupted', code);
    clearInterval(again);
    await gives('state.n > 0', 'true');
  }
});

test('what an ended cell left behind keeps its own names, and no others', async () => {
  await kernel.run("const late = 'early'; let shared = 0;");
  const code = `const tick = setInterval(() => shared++, 5);
const late = await (async () => { await new Promise<void>((r) => setTimeout(() => { r(); ${begunWaiting} }, 300)); return 5; })();`;
  const request = kernel.client.execute(`void Promise.reject(new Error('stray'));\n${code}`);
  assert.equal((await request.reply).content.evalue, 'stray');
  await kernel.begins();
  await gives('clearInterval(tick); late.toUpperCase()', "'EARLY'");
  await gives('shared > 0', 'true');
});

test('null is shown, undefined is not', async () => {
  await gives('null', 'null');
  assert.equal((await kernel.run('undefined')).result, undefined);
});
