import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { it } from 'node:test';
import { loadIcon } from '../../src/miniworld/icons';
import { openSprites } from '../../src/miniworld/sprites';
import { recolor } from '../../src/miniworld/recolor';
import type { ArtStyle } from '../../src/miniworld/world';

it('the cache is written once, read again, made anew when damaged, and done without when it cannot be written', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'unilab-cache-'));
  try {
    const begun = performance.now();
    const cold = await openSprites(folder);
    const coldMs = performance.now() - begun;
    const file = path.join(folder, 'mini-world-sprites.bin');
    const bytes = readFileSync(file);
    const start = performance.now();
    const warm = await openSprites(folder);
    const warmMs = performance.now() - start;
    assert.deepEqual(warm.keys, cold.keys);
    for (const key of cold.keys)
      assert.ok(Buffer.from(warm.get(key).rgba).equals(Buffer.from(cold.get(key).rgba)), key);
    assert.ok(warmMs < coldMs, `the cache took ${coldMs.toFixed(0)} ms to make and ${warmMs.toFixed(0)} ms to read`);
    truncateSync(file, bytes.length - 7);
    await openSprites(folder);
    assert.ok(readFileSync(file).equals(bytes), 'a cut-off cache should be made anew, byte for byte');
    writeFileSync(path.join(folder, 'blocked'), '');
    assert.equal((await openSprites(path.join(folder, 'blocked'))).keys.length, cold.keys.length);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('a missing icon package or icon says what to install', () => {
  assert.throws(() => loadIcon('no-such-set' as ArtStyle, 'car'), /npm install @iconify-json\/no-such-set/);
  assert.throws(() => loadIcon('noto', 'no-such-icon'), /no icon 'no-such-icon'.*npm install @iconify-json\/noto/);
});

it('recolouring keeps the order of the shading', () => {
  const tones = ['#000', '#555555', '#aaaaaa', 'white'];
  const out = recolor(tones.map((t) => `<path fill="${t}"/>`).join(''), 'blue');
  const fills = [...out.matchAll(/<path fill="#(..)(..)(..)"/g)].map((m) => m.slice(1).map((h) => parseInt(h, 16)));
  assert.equal(fills.length, 4);
  for (const [r, g, b] of fills) assert.ok(b > r && b > g);
  const sums = fills.map((f) => f.reduce((a, c) => a + c));
  assert.deepEqual(
    sums,
    [...sums].sort((a, b) => a - b),
  );
});
