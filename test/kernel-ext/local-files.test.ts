/** The files that a cell imports: every ending, circles, awaits at the top, JSON, workspaces, edits. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, before, test } from 'node:test';
import { begunWaiting, type Ran, TestKernel } from './kernel';

let root: string;
let folder: string;
let kernel: TestKernel;

function put(name: string, text: string): void {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

const options = {
  strict: true,
  jsx: 'react',
  jsxFactory: 'h',
  paths: { '@settings': ['../settings.json'], '@typed': ['./typed'] },
};

before(async () => {
  root = realpathSync(mkdtempSync(path.join(tmpdir(), 'unilab-files-')));
  folder = path.join(root, 'notebooks');
  mkdirSync(folder);
  put('tsconfig.json', JSON.stringify({ compilerOptions: options }));
  put('../package.json', JSON.stringify({ name: 'root', imports: { '#parts/*': './parts/*.ts' } }));
  put('../packages/lib/package.json', JSON.stringify({ name: '@w/lib', main: 'src/index.ts', types: 'src/index.ts' }));
  mkdirSync(path.join(root, 'node_modules', '@w'), { recursive: true });
  symlinkSync('../../packages/lib', path.join(root, 'node_modules', '@w', 'lib'));
  kernel = await TestKernel.start(folder);
});
after(async () => {
  await kernel.stop();
  rmSync(root, { recursive: true, force: true });
});

const plain = (ran: Ran): string | undefined => ran.result?.['text/plain'];

async function gives(code: string, expected: string): Promise<void> {
  const ran = await kernel.run(code);
  assert.equal(ran.reply.status, 'ok', `${code}: ${(ran.reply.traceback as string[] | undefined)?.join('\n')}`);
  assert.equal(plain(ran), expected, code);
}

async function fails(code: string): Promise<string> {
  const { reply } = await kernel.run(code);
  assert.equal(reply.status, 'error', code);
  return (reply.traceback as string[]).join('\n');
}

test('circles of two and of three, of values, of classes, and by `export *`', async () => {
  put('a.ts', "import { b } from './b';\nexport const a = 1;\nexport const useB = (): number => b;\n");
  put('b.ts', "import { a } from './a';\nexport const b = 2;\nexport const useA = (): number => a;\n");
  await gives("import { useB } from './a';\nuseB()", '2');
  put(
    'node1.ts',
    "import { Leaf } from './node2';\nexport class Node1 { leaf(): string { return new Leaf().name; } }\n",
  );
  put('node2.ts', "export * from './node3';\nexport class Leaf { name = 'leaf'; }\n");
  put('node3.ts', "import { Node1 } from './node1';\nexport const make = (): string => new Node1().leaf();\n");
  await gives("import { make } from './node2';\nmake()", "'leaf'");
});

test('every ending: .tsx, .mts, .cts, .mjs, .cjs, .jsx, an index file, and .ts in the name', async () => {
  put(
    'view.tsx',
    'const h = (t: unknown, p: object | null, ...c: unknown[]) => ({ t, p, c });\ndeclare global { namespace JSX { interface IntrinsicElements { [k: string]: object } } }\nexport const View = (p: { n: number }) => <div>{p.n}</div>;\n',
  );
  await gives("import { View } from './view';\nView({ n: 3 })", "{ t: 'div', p: null, c: [ 3 ] }");
  put('mod.mts', "export const mts: string = 'mts1';\n");
  await gives("import { mts } from './mod.mjs';\nmts", "'mts1'");
  put('com.cts', "import fs = require('node:fs');\nexport const cts: string = typeof fs.statSync;\n");
  await gives("import { cts } from './com.cjs';\ncts", "'function'");
  put('whole.cts', 'const whole = { answer: 42 };\nexport = whole;\n');
  await gives("import whole from './whole.cjs';\nwhole.answer", '42');
  put('plain.mjs', 'export default 5;\nexport const six = 6;\n');
  await gives("import five, { six } from './plain.mjs';\nfive + six", '11');
  put('old.cjs', "const { join } = require('node:path');\nmodule.exports = { twice: (n) => 2 * n, join };\n");
  await gives("import { twice } from './old.cjs';\ntwice(4)", '8');
  put('script.js', "const old = require('./old.cjs');\nexports.four = (anything) => old.twice(2);\n");
  await gives("import { four } from './script';\nfour(0)", '4');
  put('part.jsx', 'const h = (tag) => tag;\nexport const part = <p></p>;\n');
  await gives("import { part } from './part';\npart", "'p'");
  put('inside/index.ts', "export const inside = 'index';\n");
  await gives("import { inside } from './inside';\ninside", "'index'");
  await gives("import { mts } from './mod.mts';\nmts", "'mts1'");
});

test('files that await at their top, at any depth, also in a circle', async () => {
  put('top.ts', "export const top: string = await Promise.resolve('top');\n");
  put('over.ts', "import { top } from './top';\nexport const over = (): string => `over ${top}`;\n");
  await gives("import { over } from './over';\nover()", "'over top'");
  put(
    'deep.mjs',
    "import { top } from './top.ts';\nfor await (const one of [1, 2]) globalThis.seen = one;\nexport { top };\n",
  );
  await gives(
    "import { top as deep } from './deep.mjs';\n[deep, (globalThis as { seen?: number }).seen]",
    "[ 'top', 2 ]",
  );
  put(
    'ring1.ts',
    "import { two } from './ring2';\nexport const one = await Promise.resolve(1);\nexport const sum = (): number => one + two;\n",
  );
  put(
    'ring2.ts',
    "import { sum } from './ring1';\nexport const two = await Promise.resolve(2);\nexport const later = (): number => sum();\n",
  );
  await gives("import { later } from './ring2';\nlater()", '3');
  put(
    'waits.ts',
    "console.log('before');\nexport const never = await new Promise<number>((done) => setTimeout(done, 20, 7));\n",
  );
  await gives("const { never } = await import('./waits');\nnever", '7');
  put('breaks.ts', "await Promise.resolve();\n\nthrow new Error('at the top');\n");
  assert.match(await fails("import './breaks';"), /breaks\.ts:3:7/);
});

test('import.meta in a file and in a cell', async () => {
  put(
    'lower/here.ts',
    "import { fileURLToPath } from 'node:url';\nexport const here: string = fileURLToPath(import.meta.url);\nexport const { dirname } = import.meta;\nexport const next = import.meta.resolve('./x.json');\n",
  );
  await gives("import { here } from './lower/here';\nhere", `'${path.join(folder, 'lower', 'here.ts')}'`);
  await gives("import * as lower from './lower/here';\nlower.dirname", `'${path.join(folder, 'lower')}'`);
  await gives('lower.next', `'${pathToFileURL(path.join(folder, 'lower', 'x.json')).href}'`);
  await gives("new URL('data.json', import.meta.url).href", `'${pathToFileURL(path.join(folder, 'data.json')).href}'`);
  put('meta.mjs', 'export const url = import.meta.url;\n');
  await gives(
    "import { url as metaUrl } from './meta.mjs';\nmetaUrl",
    `'${pathToFileURL(path.join(folder, 'meta.mjs')).href}'`,
  );
});

test('a workspace in TypeScript, #imports, JSON by paths', async () => {
  put('../packages/lib/src/index.ts', "export { name } from './name';\n");
  put('../packages/lib/src/name.ts', "export const name: string = 'lib1';\n");
  await gives("import { name } from '@w/lib';\nname", "'lib1'");
  put('../parts/one.ts', 'export const one: number = await Promise.resolve(1);\n');
  await gives("import { one } from '#parts/one';\none", '1');
  put('../settings.json', '{"lr":0.1}');
  await gives("import settings from '@settings';\nsettings.lr", '0.1');
  put('typed.js', "module.exports = { typed: 'by its declarations' };\n");
  put('typed.d.ts', 'export declare const typed: string;\n');
  await gives("import { typed } from '@typed';\ntyped", "'by its declarations'");
  put('../packages/lib/src/name.ts', 'export const name: string = ;\n');
  assert.match(await fails("import { name } from '@w/lib';"), /packages\/lib\/src\/name\.ts:1:29/);
  put('../packages/lib/src/name.ts', "export const name: string = 'lib2';\n");
  await gives("import { name } from '@w/lib';\nname", "'lib2'");
});

test('edits count from the next cell on: JSON, .mjs and .js, also behind other files, however they are loaded', async () => {
  put('cfg.json', '{"lr":0.1}');
  put('part.mjs', 'export const part = 1;\n');
  put(
    'reads.ts',
    "import cfg from './cfg.json';\nimport { part } from './part.mjs';\nexport const both = [cfg.lr, part];\n",
  );
  put('required.js', 'module.exports = 1;\n');
  const code =
    "import cfg from './cfg.json';\nimport { both } from './reads';\nconst loaded = require('./required.js'), json = require('./cfg.json');\nconst dynamic = await import('./part.mjs');\n[cfg.lr, ...both, loaded, json.lr, dynamic.part]";
  await gives(code, '[ 0.1, 0.1, 1, 1, 0.1, 1 ]');
  put('cfg.json', '{"lr":0.25}');
  put('part.mjs', 'export const part = 22;\n');
  put('required.js', 'module.exports = 333;\n');
  await gives(code, '[ 0.25, 0.25, 22, 333, 0.25, 22 ]');
});

test('two files of the same text are two files; each runs once, and again after it has failed', async () => {
  put('same1.ts', 'export const list: number[] = [];\n');
  put('same2.ts', 'export const list: number[] = [];\n');
  await gives(
    "import { list as l1 } from './same1';\nimport { list as l2 } from './same2';\nl1.push(1);\n[l1, l2, l1 === l2]",
    '[ [ 1 ], [], false ]',
  );
  await gives("import { list as l3 } from './same1';\nl3", '[ 1 ]');
  put(
    'fragile.ts',
    "const count = ((globalThis as { count?: number }).count ?? 0) + 1;\n(globalThis as { count?: number }).count = count;\nif (count === 1) throw new Error('once');\nexport { count };\n",
  );
  assert.match(await fails("import { count } from './fragile';"), /fragile\.ts:3/);
  await gives("import { count } from './fragile';\ncount", '2');
});

test('an interrupt ends a file that awaits', async () => {
  put(
    'endless.ts',
    `${begunWaiting}\nexport const endless = await new Promise<number>(() => setTimeout(() => undefined, 3_600_000));\n`,
  );
  const running = kernel.run("import { endless } from './endless';\nendless");
  await kernel.begins();
  kernel.client.interrupt();
  assert.equal((await running).reply.ename, 'Interrupted');
  await gives('1 + 1', '2');
});
