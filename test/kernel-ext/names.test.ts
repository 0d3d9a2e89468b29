/** Names of earlier cells declared once more: as parameters, in loops and blocks, as fields and labels, and at the top. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestKernel } from './kernel';

const earlier = `const n = 1;
import fs from 'node:fs';
interface T { a: number }
type U = string;
function g() { return 1; }
class K {}
enum E { A }
function* y() { yield 1; }`;
const names = ['n', 'fs', 'T', 'U', 'g', 'K', 'E', 'y'];

/** Code whose value is 7 whatever `x`, which it declares for itself, means in earlier cells. The last ones declare it anew. */
const shapes: readonly (readonly [string, (x: string) => string])[] = [
  ['destructured param', (x) => `function f1({ ${x} }: { ${x}: number }) { return ${x}; }\nf1({ ${x}: 7 })`],
  ['renamed+default', (x) => `function f2({ a: ${x} = 7 }: { a?: number } = {}) { return ${x}; }\nf2()`],
  ['array+rest', (x) => `function f3([${x}, ...rest]: number[]) { return ${x}; }\nf3([7, 8])`],
  ['default param', (x) => `const f4 = (${x} = 7) => ${x};\nf4()`],
  ['arrow destructured', (x) => `const f5 = ({ ${x} = 7 } = {} as { ${x}?: number }) => ${x};\nf5()`],
  ['catch binding', (x) => `let r6 = 0;\ntry { throw { v: 7 }; } catch (${x}: any) { r6 = ${x}.v; }\nr6`],
  ['catch destructured', (x) => `let r7 = 0;\ntry { throw { ${x}: 7 }; } catch ({ ${x} }: any) { r7 = ${x}; }\nr7`],
  ['loop const', (x) => `let r8 = 0;\nfor (const ${x} of [3, 4]) r8 += ${x};\nr8`],
  ['loop let', (x) => `let r9 = 0;\nfor (let ${x} = 0; ${x} < 7; ${x}++) r9++;\nr9`],
  ['loop destructured', (x) => `let ra = 0;\nfor (const { ${x} } of [{ ${x}: 7 }]) ra += ${x};\nra`],
  ['class field', (x) => `class D${x} { ${x} = 7; static ${x} = 1; get() { return this.${x}; } }\nnew D${x}().get()`],
  ['param property', (x) => `class P${x} { constructor(readonly ${x}: number) {} }\nnew P${x}(7).${x}`],
  ['label', (x) => `let rb = 0;\n${x}: for (;;) { rb = 7; break ${x}; }\nrb`],
  ['nested function', (x) => `function fc() { function ${x}() { return 7; } return ${x}(); }\nfc()`],
  ['block function/const', (x) => `let rd = 0;\n{ const ${x} = 7; rd = ${x}; }\nrd`],
  ['generator inner', (x) => `function* fe(${x}: number) { yield ${x}; }\n[...fe(7)][0]`],
  ['function expression name', (x) => `const ff = function ${x}(): number { return 7; };\nff()`],
  ['class expression name', (x) => `const fg = class ${x} { static v = 7; };\nfg.v`],
  [
    'async await destructured',
    (x) => `const fh = async ({ ${x} }: { ${x}: number }) => { await null; return ${x}; };\nawait fh({ ${x}: 7 })`,
  ],
  ['for await', (x) => `let ri = 0;\nfor await (const ${x} of [3, 4]) ri += ${x};\nri`],
  ['var in function', (x) => `function fj() { var ${x} = 7; return ${x}; }\nfj()`],
  ['shorthand object', (x) => `function fk(${x}: number) { return { ${x} }.${x}; }\nfk(7)`],
  ['generator redeclared', (x) => `function* ${x}2() { yield 7; }\n[...${x}2()][0]`],
  ['const redeclared', (x) => `const ${x} = 7;\n${x}`],
  ['destructuring redeclared', (x) => `const { ${x} } = { ${x}: 7 };\n${x}`],
  ['generator redeclares', (x) => `function* ${x}() { yield 7; }\n[...${x}()][0]`],
  ['class redeclares', (x) => `class ${x} { static v = 7 }\n${x}.v`],
];

test('a name of an earlier cell means in each place what is declared there', async () => {
  const kernel = await TestKernel.start();
  try {
    assert.equal((await kernel.run(earlier)).reply.status, 'ok');
    for (const [what, code] of shapes)
      for (const name of names) {
        const { reply, result } = await kernel.run(code(name));
        assert.equal(result?.['text/plain'], '7', `${what}, ${name}: ${String(reply.evalue)}\n${code(name)}`);
      }
  } finally {
    await kernel.stop();
  }
});
