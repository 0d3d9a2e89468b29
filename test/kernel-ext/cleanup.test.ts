/** What runs on when a cell is interrupted, and where output goes that comes late. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { eventually } from '../eventually';
import { begunWaiting, type Ran, TestKernel } from './kernel';

/** Cells note what they do in `log`, and call `begun()` right before the await in which they may be interrupted. */
const prelude = `const log: string[] = [];
const begun = (): void => { ${begunWaiting} };
const nap = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const save = async (name: string): Promise<void> => { await nap(30); await nap(30); log.push(name); };`;

let kernel: TestKernel;
before(async () => {
  kernel = await TestKernel.start();
  await kernel.run(prelude);
});
beforeEach(() => kernel.run('log.length = 0;'));
after(() => kernel.stop());

/** Interrupts a cell once. @returns how it ended, and what it had noted by then */
async function interrupted(code: string): Promise<{ readonly ran: Ran; readonly log: string }> {
  const running = kernel.run(code);
  await kernel.begins();
  kernel.client.interrupt();
  const ran = await running;
  return { ran, log: String((await kernel.run('log.splice(0).join(" ")')).result?.['text/plain']) };
}

const cases: readonly (readonly [name: string, code: string, log: string])[] = [
  ['finally', "begun(); try { for (;;) await nap(20); } finally { await save('end'); }", "'end'"],
  ['catch', 'begun(); try { await nap(1e8); } catch (e) { await save((e as Error).name); throw e; }', "'Interrupted'"],
  [
    'callers of callers',
    `const inner = async () => { try { begun(); await nap(1e8); } finally { await save('inner'); } };
     const outer = async () => { try { await inner(); } finally { await save('outer'); } };
     try { await outer(); } finally { await save('cell'); }`,
    "'inner outer cell'",
  ],
  [
    'a loop that calls a function anew at each step',
    `const step = async () => { await nap(5); await nap(5); };
     const train = async () => { try { for (let i = 0; ; i++) { await step(); if (i === 3) begun(); } } finally { await save('train'); } };
     try { await train(); } finally { log.push('cell'); }`,
    "'train cell'",
  ],
  [
    'functions side by side',
    `const work = async (name: string) => { try { await nap(1e8); } finally { await save(name); } };
     begun(); await Promise.all([work('a'), work('b'), work('c')]);`,
    "'a b c'",
  ],
  [
    'what the cell has started and does not await',
    `const work = async () => { try { await nap(1e8); } finally { await save('aside'); } };
     void work(); begun(); try { await nap(1e8); } finally { log.push('cell'); }`,
    "'aside cell'",
  ],
  [
    'methods, arrows with an expression, functions in objects',
    `class Lab { async run() { try { await nap(1e8); } finally { await save('method'); } } }
     const lab = { go: async () => await new Lab().run(), async twice() { try { await this.go(); } finally { await save('object'); } } };
     begun(); await lab.twice();`,
    "'method object'",
  ],
  [
    'generators in the middle of a step',
    `async function* steps() { try { for (let i = 0; ; i++) { await nap(10); yield i; } } finally { await save('generator'); } }
     const all = async () => { for await (const i of steps()) if (i === 3) begun(); };
     try { await all(); } finally { log.push('cell'); }`,
    "'generator cell'",
  ],
  [
    'generators between two steps',
    `async function* steps() { try { for (let i = 0; ; i++) yield i; } finally { await save('generator'); } }
     for await (const i of steps()) { begun(); await nap(1e8); }`,
    "'generator'",
  ],
  [
    'generators that delegate',
    `async function* inner() { try { for (;;) { await nap(10); yield 1; } } finally { await save('inner'); } }
     async function* outer() { try { yield* inner(); } finally { await save('outer'); } }
     let n = 0; for await (const i of outer()) if (++n === 3) begun();`,
    "'inner outer'",
  ],
];

for (const [name, code, log] of cases) {
  test(`an interrupted cell cleans up before it ends: ${name}`, async () => {
    const { ran, log: noted } = await interrupted(code);
    const sorted =
      name === 'functions side by side' ? noted.slice(1, -1).split(' ').sort().join(' ') : noted.slice(1, -1);
    assert.deepEqual([ran.reply.ename, sorted], ['Interrupted', log.slice(1, -1)]);
  });
}

test('a cell that handles its interrupt has not failed', async () => {
  const { ran } = await interrupted("begun(); try { await nap(1e8); } catch { await save('x'); }\n'stopped early'");
  assert.equal(ran.result?.['text/plain'], "'stopped early'");
});

test('a library that waits is left, and its generators are closed', async () => {
  const { ran } = await interrupted(
    "import { setInterval as every } from 'node:timers/promises';\nbegun(); for await (const _ of every(1e8)) log.push('never');",
  );
  assert.equal(ran.reply.ename, 'Interrupted');
});

test('a second interrupt cuts cleaning up short, and a loop that goes on regardless', async () => {
  for (const code of [
    "begun(); try { await nap(1e8); } finally { log.push('cleans'); begun(); await nap(1e8); log.push('never'); }",
    "begun(); for (;;) { try { await nap(50); } catch { log.push('cleans'); begun(); } }",
  ]) {
    const running = kernel.run(code);
    await kernel.begins();
    kernel.client.interrupt();
    await kernel.begins();
    kernel.client.interrupt();
    assert.equal((await running).reply.ename, 'Interrupted');
    assert.match(String((await kernel.run('log.splice(0).join(" ")')).result?.['text/plain']), /^'cleans/);
  }
});

test('an interrupt with no cell running ends what cells have left behind; during a cell it ends that cell alone', async () => {
  await kernel.run('let ticks = 0; void (async () => { for (;;) { await nap(10); ticks++; } })();');
  const ticks = async (): Promise<number> => Number((await kernel.run('ticks')).result?.['text/plain']);
  await interrupted('begun(); await nap(1e8);');
  const before = await ticks();
  await eventually(async () => assert.ok((await ticks()) > before));
  kernel.client.interrupt();
  await kernel.quiet();
  const ended = await ticks();
  await kernel.run('await nap(100);');
  assert.equal(await ticks(), ended);
});

test('what timers and promises of a cell print belongs to it, while another one runs and after', async () => {
  const texts = new Map<unknown, string>();
  const listen = (ran: Ran): void => {
    for (const { content, parent } of ran.outputs)
      texts.set(parent.msg_id, (texts.get(parent.msg_id) ?? '') + String(content.text));
  };
  const first = await kernel.run(
    "const timer = setInterval(() => console.log('tick'), 20);\nvoid (async () => { for (let i = 0; i < 5; i++) { await nap(20); process.stdout.write('tock\\n'); } })();",
  );
  const second = await kernel.run(
    "for (let i = 0; i < 5; i++) { await nap(40); console.log('second'); }\nclearInterval(timer);",
  );
  [first, second].forEach(listen);
  assert.equal(second.stdout, 'second\n'.repeat(5));
  assert.ok(![...texts.values()].some((text) => text.includes('tick') && text.includes('second')));
});

test('a function of an earlier cell prints in the cell that calls it', async () => {
  await kernel.run("const speak = async () => { await nap(1); console.log('spoken'); };");
  assert.equal((await kernel.run('await speak();')).stdout, 'spoken\n');
});

test('asynchronous functions keep what the language gives them', async () => {
  const ran = await kernel.run(
    `async function f(this: { k: number }, a: number, b: number = a): Promise<number[]> { await null; return [this.k, a, b, arguments.length]; }
class Base { async v() { await null; return 'base'; } }
class Sub extends Base { static async s() { await null; return this === Sub; } override async v() { await null; return 'sub of ' + (await super.v()); } }
[await f.call({ k: 1 }, 2), f.length, await new Sub().v(), await Sub.s()]`,
  );
  assert.equal(ran.reply.evalue, undefined);
  assert.equal(ran.result?.['text/plain'], "[ [ 1, 2, 2, 1 ], 1, 'sub of base', true ]");
});
