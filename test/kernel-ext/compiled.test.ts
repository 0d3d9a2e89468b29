/** Compiled forms of modules: used when they fit, and never when they do not. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { loadCompiled } from '../../kernel-ext/compiler/compiled-module';

const folder = mkdtempSync(path.join(tmpdir(), 'unilab-compiled-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const file = path.join(folder, 'module.js');
const cache = path.join(folder, 'cache', 'deep');

/** Writes the module so that its value is one digit: all versions have the same length. */
function put(value: number): void {
  const text = `const os = require('node:os');\nexports.value = () => ${value};\nexports.place = [__filename, os.EOL];\n`;
  writeFileSync(file, text);
}

function load(): { value: number; fromCache: boolean; save: () => Promise<void>; place: string[] } {
  Reflect.deleteProperty(require.cache, file);
  const { module, fromCache, save } = loadCompiled(file, cache);
  const exports = module.exports as { value(): number; place: string[] };
  assert.equal(require(file), exports, 'require finds it');
  return { value: exports.value(), place: exports.place, fromCache, save };
}

test('a kept form is used by the next start, and only for the source that it was made from', async () => {
  put(1);
  const first = load();
  assert.deepEqual([first.value, first.fromCache, first.place], [1, false, [file, '\n']]);
  await first.save();
  const second = load();
  assert.deepEqual([second.value, second.fromCache, second.place], [1, true, [file, '\n']]);
  const { mtimeMs } = statSync(file);
  put(2);
  utimesSync(file, new Date(), new Date(mtimeMs + 10_000));
  const third = load();
  assert.deepEqual([third.value, third.fromCache], [2, false], 'an edit of equal length');
  await third.save();
  assert.deepEqual(load().fromCache, true);
  assert.equal(readdirSync(cache).length, 1, 'the old form is replaced');
});

test('a damaged form is left alone, and a folder that cannot be written to is no error', async () => {
  put(3);
  await load().save();
  const place = path.join(cache, readdirSync(cache)[0]);
  const whole = readFileSync(place);
  for (const damaged of [whole.subarray(0, 10), whole.subarray(0, whole.length - 1), Buffer.alloc(0)]) {
    writeFileSync(place, damaged);
    assert.deepEqual([load().value, load().fromCache], [3, false]);
  }
  const flipped = Buffer.from(whole);
  flipped[whole.length >> 1] ^= 1;
  writeFileSync(place, flipped);
  assert.equal(load().fromCache, false, 'one wrong bit');
  const { module, save } = loadCompiled(file, path.join(file, 'no folder'));
  await save();
  assert.equal((module.exports as { value(): number }).value(), 3);
});
