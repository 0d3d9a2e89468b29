import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type Ran, TestKernel } from './kernel';

let root: string;
let folder: string;
let kernel: TestKernel;

function put(name: string, text: string): void {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

before(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'unilab-project-'));
  folder = path.join(root, 'notebooks');
  mkdirSync(folder);
  put('tsconfig.json', JSON.stringify({ compilerOptions: { strict: true, paths: { '@lib/*': ['../lib/*'] } } }));
  put(
    'local.ts',
    'export interface Named { name: string }\nexport const version = 1;\nexport function fail(): never {\n  throw new Error("local");\n}\n',
  );
  put('uses.ts', "import { version } from './local';\nexport const doubled = (): number => version * 2;\n");
  put('../lib/above.ts', "export const above: string = 'above';\n");
  const pack = (name: string, manifest: object, files: Record<string, string>): void => {
    put(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', ...manifest }));
    for (const [file, text] of Object.entries(files)) put(`node_modules/${name}/${file}`, text);
  };
  const exported = { type: 'module', exports: { '.': { types: './types.d.ts', import: './index.js' } } };
  pack('esm-awaits', exported, {
    'index.js': 'export const value = await Promise.resolve(42); export default "d";',
    'types.d.ts': 'export declare const value: number; declare const d: string; export default d;',
  });
  pack(
    'plain-cjs',
    { main: 'index.js' },
    { 'index.js': 'exports.twice = (n) => 2 * n;', 'index.d.ts': 'export declare function twice(n: number): number;' },
  );
  kernel = await TestKernel.start(folder);
});
after(async () => {
  await kernel.stop();
  rmSync(root, { recursive: true, force: true });
});

const plain = (ran: Ran): string | undefined => ran.result?.['text/plain'];

async function gives(code: string, expected: string): Promise<void> {
  const ran = await kernel.run(code);
  assert.equal(ran.reply.status, 'ok', `${code}: ${String(ran.reply.evalue)}`);
  assert.equal(plain(ran), expected, code);
}

test('variables of earlier cells in shorthand properties, on either side of an assignment', async () => {
  await gives('let seed: number = 1;\nconst pair = { seed };\npair.seed', '1');
  await gives(
    'const options = { seed, other: [{ seed }] };\nJSON.stringify(options)',
    `'{"seed":1,"other":[{"seed":1}]}'`,
  );
  await gives('({ seed } = { seed: 7 });\nseed', '7');
  await gives('({ seed = 9 } = {} as { seed?: number });\nseed', '9');
});

test('top-level await in every form', async () => {
  await gives('await (new Promise<number>((resolve) => setTimeout(() => resolve(5), 5)))', '5');
  await gives('let sum = 0;\nfor await (const n of [1, Promise.resolve(2)]) sum += n;\nsum', '3');
  await gives("await (async function () { return 'called' })()", "'called'");
  await gives('const { length } = await Promise.resolve([1, 2]); length', '2');
  await gives(
    'async function* steps() { yield 1; yield 2; }\nconst seen: number[] = []; for await (const s of steps()) { seen.push(s); if (s === 2) break; }\nseen',
    '[ 1, 2 ]',
  );
  await gives('if (await Promise.resolve(true)) { sum = 10; }\nsum', '10');
  await gives('const f = async () => { const v = await 7; return v; }; await f()', '7');
  await gives("try { await Promise.reject(new Error('x')) } catch (error) { sum = 99 }\nsum", '99');
});

test('const, let and class are declared again in later cells, types with them', async () => {
  await kernel.run('const thing = 1; class Box { size = 1 }');
  await gives(
    "const thing = 'now text'; class Box { name = 'b' }\nthing.toUpperCase() + new Box().name",
    "'NOW TEXTb'",
  );
  await gives('const make = () => new Box(); make().name', "'b'");
});

test('local TypeScript beside and above the notebook, by path and by the project’s names', async () => {
  await gives(
    "import { doubled } from './uses';\nimport { above } from '../lib/above';\nimport { above as alias } from '@lib/above';\n[doubled(), above, alias]",
    "[ 2, 'above', 'above' ]",
  );
  const failing = await kernel.run("import { fail } from './local';\nfail();");
  assert.match(String(failing.reply.traceback), /local\.ts:4:9/);
});

test('edits of local files count from the next cell on, through other files too', async () => {
  await gives("import { doubled as before } from './uses'; before()", '2');
  put('local.ts', 'export const version = 21;\n');
  await gives("import { doubled as then } from './uses'; then()", '42');
  put('local.ts', "export const version: string = 'text';\n");
  const wrong = await kernel.run("import { doubled as broken } from './uses'; broken()");
  assert.match(String(wrong.reply.traceback), /uses\.ts:2:/);
  put('local.ts', 'export const version = 1;\n');
  await gives("import { doubled as again } from './uses'; again()", '2');
});

test('packages: CommonJS, ES modules that await, and a real import()', async () => {
  await gives("import { twice } from 'plain-cjs'; twice(4)", '8');
  await gives("import word, { value } from 'esm-awaits'; [word, value + 1]", "[ 'd', 43 ]");
  await gives("(await import('esm-awaits')).value", '42');
  await gives("const { twice: t2 } = await import('plain-cjs'); t2(5)", '10');
  await gives("import { readFileSync } from 'node:fs'; typeof readFileSync", "'function'");
});

test('what the package brings along can be imported anywhere, with its types', async () => {
  await gives("import { compile } from 'vega-lite'; typeof compile", "'function'");
  const wrong = await kernel.run("import { nothingOfThisName } from 'vega-lite'");
  assert.match(String(wrong.reply.evalue), /has no exported member/);
  const missing = await kernel.run("import * as nothing from 'no-such-package-here'");
  assert.match(String(missing.reply.evalue), /Cannot find module 'no-such-package-here'/);
});

test('tsconfig.json is honored: strict is strict', async () => {
  const ran = await kernel.run('function loose(p) { return p }');
  assert.match(String(ran.reply.evalue), /implicitly has an 'any' type/);
});

test('completion, inspection and completeness', async () => {
  await kernel.run('const completing = { alpha: 1, alphabet: 2 };');
  const complete = await kernel.send('complete_request', { code: 'completing.alp', cursor_pos: 14 });
  assert.deepEqual(complete.reply.matches, ['alpha', 'alphabet']);
  const inspect = await kernel.send('inspect_request', { code: 'completing', cursor_pos: 3, detail_level: 0 });
  assert.match(JSON.stringify(inspect.reply.data), /alpha: number/);
  const status = async (code: string): Promise<unknown> =>
    (await kernel.send('is_complete_request', { code })).reply.status;
  assert.equal(await status('const a = 1'), 'complete');
  assert.equal(await status('function f() {'), 'incomplete');
  assert.equal(await status('const s = `open'), 'incomplete');
  assert.equal(await status('foo('), 'incomplete');
  for (const code of ['import = 7', 'const = 3;', 'a b c)', '}', "'unended"])
    assert.equal(await status(code), 'invalid', code);
});

test('code copied from a file may say export; lines in errors stay', async () => {
  const cells: [code: string, shown: string | undefined][] = [
    ['export const exported: number = 3; exported', '3'],
    ['exported + 1', '4'],
    [
      'export interface Point { x: number }\nexport type X = Point["x"];\nexport enum Side { left, right }\nexport async function of(p: Point): Promise<X> { return p.x; }\nawait of({ x: 7 })',
      '7',
    ],
    ['export default function named() { return Side.right; }\nnamed()', '1'],
    ['const kept = 2; export { kept };', undefined],
    ['export abstract class Shape { area = kept }', undefined],
    ["'a text that says: export const x'", "'a text that says: export const x'"],
  ];
  for (const [code, shown] of cells) {
    const ran = await kernel.run(code);
    assert.equal(ran.reply.status, 'ok', `${code}: ${String(ran.reply.evalue)}`);
    assert.equal(ran.result?.['text/plain'], shown, code);
  }
  const failed = await kernel.run("export const late = 1;\nthrow new Error('here')");
  assert.match((failed.reply.traceback as string[]).join('\n'), /cell \d+:2:7/);
});

test('constants and expressions are compiled at once, to the same effect as by two compilers', async () => {
  const cells = [
    'let seen: unknown[] = []; function look(): unknown { return typeof kept; } const kept = 1; seen.push(look());',
    'const a = seen.push(2), b = { seen }; b.seen.length + a',
    'seen.push(9), 2',
    'const inner = (() => { let n = 0; const step = () => ++n; step(); return step(); })();\ninner',
    'const kept = seen.length;\nfunctionOf(kept)',
    'const functionOf = (n: number) => n * kept;',
    'functionOf(2)',
    'const kept = [10]; (functionOf as (n: unknown) => number)(3)',
    'const kept = functionOf(JSON.parse("{"))',
    'String(kept)',
    'const same = { a, kept: "x", ...b };\n`${same.a} ${same.kept}`',
    'const [first, ...others] = [1, 2, 3]; others',
    'a satisfies number; b as unknown',
    'undefined',
    'const nothing: void = undefined; nothing',
    'seen = []; seen',
  ];
  const outcomes = async (suffix: string) => {
    const fresh = await TestKernel.start();
    try {
      const all: unknown[] = [];
      for (const cell of cells) {
        const { reply, outputs } = await fresh.run(cell + suffix);
        all.push([cell, reply.status, reply.evalue, outputs.map(({ content }) => content.data)]);
      }
      return all;
    } finally {
      await fresh.stop();
    }
  };
  // The word in the comment sends a cell the long way.
  assert.deepEqual(await outcomes(''), await outcomes('\n// import'));
});

test('names with leading underscores, global declarations, decorators and `using` are the language of the day', async () => {
  const shows = async (code: string): Promise<string | undefined> => {
    const ran = await kernel.run(code);
    assert.equal(ran.reply.evalue, undefined, code);
    return ran.result?.['text/plain'];
  };
  assert.equal(await shows("const __dirname = 'a', ___x = 1, { b: __b } = { b: 2 };\n__dirname"), "'a'");
  assert.equal(await shows('[__dirname, ___x, __b]'), "[ 'a', 1, 2 ]");
  assert.equal(
    await shows("import { sep as __sep } from 'node:path';\nfunction __f() { return __sep; }\n__f()"),
    "'/'",
  );
  assert.equal(await shows('__f() + __sep'), "'//'");
  await shows(
    'declare global { interface Array<T> { final(): T } var shared: number }\nArray.prototype.final = function () { return this[this.length - 1]; };\nglobalThis.shared = 5;',
  );
  assert.equal(await shows('[shared, [1, 2].final()]'), '[ 5, 2 ]');
  assert.equal(
    await shows(
      'function twice(value: () => number, _: ClassMethodDecoratorContext) { return function (this: unknown) { return 2 * value.call(this); }; }\nclass Doubled { @twice m() { return 1; } }\nnew Doubled().m()',
    ),
    '2',
  );
  const closed = await kernel.run("{ using file = { [Symbol.dispose]() { console.log('closed'); } }; }");
  assert.equal(closed.stdout, 'closed\n');
  const later = await kernel.run(
    "{ await using file = { async [Symbol.asyncDispose]() { await null; console.log('closed'); } }; console.log('open'); }",
  );
  assert.equal(later.stdout, 'open\nclosed\n');
});

test('positions are in code points, both ways, and those beyond the end are at the end', async () => {
  await kernel.run(
    'const abcdef = { alpha: 1 }; class Kls { method(a: number) { return a; } }\nconst inst = new Kls();',
  );
  const completed = async (code: string, at = [...code].length): Promise<unknown[]> => {
    const { reply } = await kernel.send('complete_request', { code, cursor_pos: at });
    return [reply.cursor_start, reply.cursor_end, (reply.matches as string[])[0]];
  };
  assert.deepEqual(await completed("'\u{1F600}\u{1F600}'; abcde"), [6, 11, 'abcdef']);
  assert.deepEqual(await completed("'\u{1F600}'; abcdef.al"), [12, 14, 'alpha']);
  assert.deepEqual(await completed('abcde', 99), [0, 5, 'abcdef']);
  assert.deepEqual(await completed("abcde; '\u{1F600}'", 5), [0, 5, 'abcdef']);
  const inspected = async (code: string, at: number): Promise<string> => {
    const { reply } = await kernel.send('inspect_request', { code, cursor_pos: at, detail_level: 0 });
    return (reply.data as Record<string, string>)['text/plain'] ?? '';
  };
  assert.match(await inspected("'\u{1F600}'; inst.method", 10), /method/);
  assert.match(await inspected("'\u{1F468}\u200d\u{1F469}'; inst.method", 13), /method/);
  assert.equal((await kernel.send('inspect_request', { code: '\u{1F600}', cursor_pos: 7 })).reply.status, 'ok');
});
