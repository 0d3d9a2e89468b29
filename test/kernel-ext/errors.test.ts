import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { awaitsGo, begun, begunWaiting, type Ran, TestKernel, types } from './kernel';

let kernel: TestKernel;
before(async () => (kernel = await TestKernel.start()));
after(() => kernel.stop());

function traceback(ran: Ran): string {
  return stripVTControlCharacters((ran.reply.traceback as string[]).join('\n'));
}

test('an error is published, with a traceback that names the cell and its line', async () => {
  const ran = await kernel.run(
    'interface Shape {\n  side: number;\n}\nfunction area(shape: Shape): number {\n  throw new RangeError(`no area ${shape.side}`);\n}\narea({ side: 2 })',
  );
  assert.equal(ran.reply.status, 'error');
  assert.equal(ran.reply.ename, 'RangeError');
  assert.equal(ran.reply.evalue, 'no area 2');
  const [error] = ran.outputs;
  assert.equal(error.header.msg_type, 'error');
  assert.deepEqual(error.content, { ename: ran.reply.ename, evalue: ran.reply.evalue, traceback: ran.reply.traceback });
  const cell = Number(ran.reply.execution_count);
  assert.match(traceback(ran), new RegExp(`at area \\(cell ${cell}:5:\\d+\\)\n +at cell ${cell}:7:1`));
  assert.match(traceback(ran), /5 \| {3}throw new RangeError/);
  assert.doesNotMatch(traceback(ran), /tslab|node:internal|kernel-ext/);
});

test('lines are right behind an await and in an earlier cell, too', async () => {
  const first = await kernel.run(
    'await null;\n\nconst late = async (): Promise<never> => {\n  await null;\n  throw new Error("late");\n};',
  );
  const ran = await kernel.run('\nawait late();');
  assert.match(traceback(ran), new RegExp(`cell ${Number(first.reply.execution_count)}:5:`));
});

test('type errors are reported as in an editor; @ts-nocheck runs the cell anyway', async () => {
  const code = "const text: string = 'a';\nconst n: number = text.lenght;";
  const ran = await kernel.run(code);
  assert.equal(ran.reply.ename, 'TypeScriptError');
  assert.match(
    traceback(ran),
    /cell \d+:2:24 - error TS2551: Property 'lenght' does not exist on type 'string'\. Did you mean 'length'\?/,
  );
  assert.match(traceback(ran), /2 \| const n: number = text\.lenght;\n +\| {24}\^/);
  assert.match(traceback(await kernel.run("await null; const m: number = 'x';")), /:1:19 - /);
  assert.equal((await kernel.run(`// @ts-nocheck\n${code}\nn`)).reply.status, 'ok');
});

test('an unhandled rejection fails the cell that runs', async () => {
  const ran = await kernel.run("Promise.reject(new Error('nobody cares'));");
  assert.deepEqual([ran.reply.status, ran.reply.evalue], ['error', 'nobody cares']);
  const slow = await kernel.run(
    "setTimeout(() => Promise.reject(new Error('in between')), 30);\nawait new Promise((resolve) => setTimeout(resolve, 3_600_000));",
  );
  assert.equal(slow.reply.evalue, 'in between', 'at once, not at the end of the cell');
});

test('a rejection or an exception between two cells fails the next one, once', async () => {
  for (const code of [
    `setTimeout(() => { ${begun} void Promise.reject(new Error('later')); }, 30);`,
    `setTimeout(() => { ${begun} throw new Error('later'); }, 30);`,
  ]) {
    assert.equal((await kernel.run(code)).reply.status, 'ok');
    await kernel.begins();
    const next = await kernel.run("console.log('not run')");
    assert.deepEqual([next.reply.status, next.reply.evalue, next.stdout], ['error', 'later', '']);
    assert.equal((await kernel.run('1')).reply.status, 'ok');
  }
});

test('a thrown string, a thrown undefined, an exit and a failing display are failed cells', async () => {
  const failures: [code: string, ename: string, evalue: RegExp][] = [
    ["throw 'words'", 'Thrown', /^'words'$/],
    ['throw undefined', 'Thrown', /^undefined$/],
    ['process.exit(0)', 'Error', /process\.exit\(0\)/],
    ["({ [Symbol.for('Jupyter.display')]() { throw new Error('not today') } })", 'Error', /not today/],
    [
      "import { updateDisplay } from 'unilab/display';\nvoid updateDisplay('x', { [Symbol.for('Jupyter.display')]: async () => { throw new Error('no update') } });",
      'Error',
      /no update/,
    ],
  ];
  for (const [code, ename, evalue] of failures) {
    const ran = await kernel.run(code);
    assert.equal(ran.reply.status, 'error', code);
    assert.equal(ran.reply.ename, ename, code);
    assert.match(String(ran.reply.evalue), evalue);
    assert.ok(types(ran.outputs).includes('error'), code);
  }
});

test('after an error only what was queued is aborted, and only where stop_on_error is set', async () => {
  const send = (code: string, stop_on_error: boolean) => kernel.client.execute(code, { stop_on_error });
  // The first one fails when it is told to: the others are there by then, for the kernel has answered what came after them.
  const first = send(`${begunWaiting} ${awaitsGo} throw new Error('stop')`, true);
  await kernel.begins();
  const [second, third] = [send('1', true), send('2', true)];
  for (let i = 0; i < 5; i++) await kernel.send('usage_request', {}, 'control');
  const replies = Promise.all([first, second, third].map(async (one) => (await one.reply).content.status));
  assert.deepEqual(await kernel.goOn(replies), ['error', 'aborted', 'aborted']);
  await third.idle;
  assert.equal((await kernel.run('3')).reply.status, 'ok', 'what comes later runs at once');
  const [failing, next] = [send("throw new Error('go on')", false), send('4', true)];
  assert.deepEqual([(await failing.reply).content.status, (await next.reply).content.status], ['error', 'ok']);
});

test('causes are told', async () => {
  const ran = await kernel.run("throw new Error('outer', { cause: new TypeError('inner') })");
  assert.match(traceback(ran), /Error: outer[\s\S]*caused by:\nTypeError: inner/);
});

test('a cell that is compiled at once has its lines and columns, on the first line, too', async () => {
  const ran = await kernel.run(
    'interface Side { length: number }\nconst cube = (side: Side): number => {\n  throw new RangeError(`no cube ${side.length}`);\n};\nconst sides: Side[] = [{ length: 3 }];\n\nsides.map((side) => cube(side));',
  );
  const cell = Number(ran.reply.execution_count);
  assert.match(
    traceback(ran),
    new RegExp(`cube \\(cell ${cell}:3:9\\)\\n +at cell ${cell}:7:21\\n[^]*at cell ${cell}:7:7`),
  );
  const first = await kernel.run('const early: number = ((n: number): number => { throw new Error(`${n}`); })(1);');
  assert.match(traceback(first), new RegExp(`cell ${Number(first.reply.execution_count)}:1:55`));
});

test('frames of awaits at the top name the line of the cell', async () => {
  const ran = await kernel.run("import { readFile } from 'node:fs/promises';\n\n\n\nawait readFile('/nope');");
  const cell = Number(ran.reply.execution_count);
  assert.match(traceback(ran), new RegExp(`at async cell ${cell}:5:1`));
  assert.match(traceback(ran), /5 \| await readFile/);
});

test('what a cell prints of errors has its own lines, and nothing of the kernel', async () => {
  const code = "function bad(): never {\n  throw new Error('deep');\n}\n\n";
  const printed = async (rest: string): Promise<string> => {
    const ran = await kernel.run(code + rest);
    assert.equal(ran.reply.status, 'ok', String(ran.reply.evalue));
    const cell = Number(ran.reply.execution_count);
    const text = `${ran.stdout}${ran.stderr}${ran.result?.['text/plain'] ?? ''}`.replaceAll(`cell ${cell}:`, 'cell:');
    assert.doesNotMatch(text, /kernel-ext|node:internal|node:vm|tslab/, text);
    return text;
  };
  assert.match(
    await printed('try { bad(); } catch (error) { console.error(error); }'),
    /at bad \(cell:2:9\)\n +at cell:5:7/,
  );
  assert.match(
    await printed('let stack = ""; try { bad(); } catch (error) { stack = (error as Error).stack!; }\nstack'),
    /bad \(cell:2:9\)/,
  );
  assert.match(await printed("\nconsole.trace('here');"), /Trace: here\n +at cell:6:9/);
  const settled = 'await Promise.allSettled([(async () => { await null;\nbad(); })()])';
  assert.match(await printed(settled), /bad \(cell:2:9\)\n +at async|bad \(cell:2:9\)[^]*cell:6:1/);
  assert.match(await printed("[new Error('as a value')]"), /Error: as a value\n +at cell:5:2/);
  writeFileSync(
    path.join(kernel.folder, 'throws.ts'),
    "interface Wide { a: 1 }\n\nexport const throws = (): Error => new Error('local');\n",
  );
  assert.match(
    await printed("import { throws } from './throws';\nconsole.log(throws());"),
    /throws\.ts:3:\d+\)?\n +at cell:6:1\d/,
  );
});
