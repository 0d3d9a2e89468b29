import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Rng } from '../../src/engine/random';
import { within } from '../eventually';
import { TestKernel } from './kernel';

/** Cells call `begun()` right before the code that never yields. */
const prelude =
  "import { writeFileSync } from 'node:fs';\nlet reached = 0;\nconst begun = (): void => writeFileSync('begun', '');\nawait null;";

let kernel: TestKernel;
before(async () => {
  kernel = await TestKernel.start();
  await kernel.run(prelude);
});
after(() => kernel.stop());

/** Runs a cell that never yields, interrupts it so many times, and waits for its end. */
async function stopped(code: string, interrupts: 1 | 2): Promise<void> {
  const request = kernel.client.execute(code);
  let ended = false;
  void request.reply.then(() => (ended = true));
  await kernel.begins();
  kernel.client.interrupt();
  if (interrupts === 2) {
    // Two signals at one time are one to the system.
    await sleep(1500);
    assert.equal(ended, false, `${code}: stopped at the first interrupt`);
    kernel.client.interrupt();
  }
  const reply = await within(request.reply, `the end of an interrupted cell: ${code}`);
  await request.idle;
  assert.deepEqual([reply.content.status, reply.content.ename], ['error', 'Interrupted'], code);
}

test('a loop before any await stops at the first interrupt', async () => {
  await stopped('begun(); while (true) {}', 1);
  await stopped('begun(); try { while (true) {} } catch { reached = 1; }', 1);
});

test('a loop after an await stops at the second interrupt, wherever the cell came from', async () => {
  for (const code of [
    'await null; begun(); while (true) {}',
    'await new Promise((resolve) => setTimeout(resolve, 200)); begun(); try { while (true) {} } catch { reached = 2; } reached = 3;',
    'const spin = async () => { await null; begun(); for (;;) Math.sqrt(2); };\nawait Promise.all([spin(), new Promise(() => undefined)]);',
    "process.stdout.write('before\\n'); await null; begun(); for (;;) {}",
  ])
    await stopped(code, 2);
});

test('after that the kernel goes on: variables, displays, awaits, imports and input are there', async () => {
  kernel.client.onInput = (prompt) => `${prompt}!`;
  const ran = await kernel.run(
    "import { display } from 'unilab/display';\nawait display('shown');\nconst answer = await input('name');\n[reached, answer, await Promise.resolve(4)]",
  );
  kernel.client.onInput = undefined;
  assert.equal(ran.reply.status, 'ok', JSON.stringify(ran.reply));
  assert.equal(ran.result?.['text/plain'], "[ 0, 'name!', 4 ]");
  assert.equal((await kernel.send('complete_request', { code: 'reach', cursor_pos: 5 })).reply.status, 'ok');
});

test('a loop right after an answer from input stops, too', async () => {
  kernel.client.onInput = () => '';
  await stopped("await input('go?'); begun(); while (true) {}", 2);
  assert.equal((await kernel.run("await input('again?')")).reply.status, 'ok');
  kernel.client.onInput = undefined;
});

test('two signals close to each other end the cell, and nothing else', async () => {
  const rng = new Rng(14);
  for (let round = 0; round < 12; round++) {
    const first = round % 2 ? 'await null; begun(); ' : 'begun(); ';
    const request = kernel.client.execute(`${first}${round % 3 ? 'while (true) {}' : 'await new Promise(() => 0);'}`);
    await kernel.begins();
    kernel.client.interrupt();
    await sleep(rng.uniform() * 30);
    kernel.client.interrupt();
    // A loop after an await needs two, and the system may have made one of these: then a third is due, as from a person.
    const isLoop = round % 3 > 0;
    const again = setTimeout(() => round % 2 && isLoop && kernel.client.interrupt(), 3000);
    const reply = await within(request.reply, `round ${round}: the end of an interrupted cell`);
    clearTimeout(again);
    assert.equal(reply.content.ename, 'Interrupted');
    await kernel.quiet(); // the second may still be on its way
    assert.equal((await kernel.run('reached')).reply.status, 'ok');
  }
});

test('what not even that stops is ended by the next interrupt, for the client to restart', async () => {
  const own = await TestKernel.start();
  await own.run(prelude);
  // A wait inside of Node.js: no JavaScript is there to be stopped.
  const request = own.client.execute(
    `const { execFileSync } = await import('node:child_process');
begun();
execFileSync(process.execPath, ['-e', 'const { ppid } = process; setInterval(() => process.ppid === ppid || process.exit(), 50)'], { stdio: 'ignore' });`,
  );
  await own.begins();
  // Impatience alone does not end it: the one that does comes a second after the code was to stop.
  const impatient = setInterval(() => own.client.child.kill('SIGINT'), 300);
  await sleep(1000);
  clearInterval(impatient);
  const patient = setInterval(() => own.client.child.kill('SIGINT'), 1300);
  const exit = await within(own.client.exited, 'the end of the kernel');
  clearInterval(patient);
  assert.equal(exit.signal, 'SIGKILL');
  await assert.rejects(request.reply, /the kernel died/);
  await own.stop();
});
