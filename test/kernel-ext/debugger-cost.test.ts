/** What a debugger costs: cells with one attached, beside cells without, in one run of one kernel. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DebugClient } from './debug-client';
import { TestKernel } from './kernel';

let kernel: TestKernel;
before(async () => {
  kernel = await TestKernel.start();
});
after(() => kernel.stop());

/** What else the machine does makes cells slower, never quicker. */
const lowerQuartile = (times: readonly number[]): number =>
  [...times].sort((a, b) => a - b)[Math.floor(times.length / 4)];

test('`1+1` takes at most twice as long with the debugger on', async () => {
  const client = new DebugClient(kernel);
  const times = { off: [] as number[], on: [] as number[] };
  const measure = async (list: number[]): Promise<void> => {
    for (let n = 0; n < 3; n++) await kernel.run('1+1');
    for (let n = 0; n < 15; n++) list.push((await kernel.run('1+1')).milliseconds);
  };
  await kernel.run('1+1');
  // In turns: what else the machine does hits both.
  for (let round = 0; round < 4; round++) {
    await measure(times.off);
    await client.start();
    await measure(times.on);
    await client.ask('disconnect', { restart: false, terminateDebuggee: false });
  }
  const [off, on] = [lowerQuartile(times.off), lowerQuartile(times.on)];
  console.log(`1+1: ${off.toFixed(1)} ms, with the debugger ${on.toFixed(1)} ms (${(on / off).toFixed(2)} times)`);
  assert.ok(on <= 2 * off, `${on} ms with the debugger, ${off} ms without`);
});
