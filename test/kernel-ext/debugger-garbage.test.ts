/** Breakpoints in a source of which V8 has had scripts that it may have thrown away. */
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

test('breakpoints of a cell whose earlier code is garbage by now', async () => {
  const collect = "setFlagsFromString('--expose-gc');\nconst collect = runInNewContext('gc') as () => void;";
  const imports =
    "import { setFlagsFromString } from 'node:v8';\nimport { runInNewContext } from 'node:vm';\nexport { collect };";
  assert.equal((await kernel.run(`${imports}\n${collect}`)).reply.status, 'ok');
  const code = 'Math.max(1, 2);\nMath.max(3, 4)';
  await client.breakIn(code);
  for (let round = 0; round < 3; round++) {
    const { reply } = await kernel.run(code);
    assert.equal(reply.status, 'ok');
  }
  for (let round = 0; round < 6; round++) await kernel.run(`collect(); ${round}`);
  const { lines } = await client.breakIn(code, { line: 1 });
  assert.deepEqual(lines, [1]);
  const running = kernel.run(code);
  assert.match((await client.stopped()).at[0], /:1$/);
  assert.equal((await client.finish(running)).result?.['text/plain'], '4');
});
