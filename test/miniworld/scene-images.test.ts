import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Rng } from '../../src/engine/random';
import {
  COLORS,
  BACKGROUNDS,
  loadSprites,
  OBJECTS,
  renderScene,
  sampleScene,
  sceneExample,
  shortName,
  type SpriteSheet,
} from '../../src/miniworld';

describe('images of scenes', () => {
  let sprites: SpriteSheet;
  before(async () => {
    sprites = await loadSprites();
  });

  it('same seed, same example; another seed, another', () => {
    const draw = (seed: number) => sceneExample(new Rng(seed), 'train', sprites);
    for (let seed = 0; seed < 20; seed++) assert.deepEqual(draw(seed), draw(seed));
    assert.notDeepEqual(draw(1).pixels, draw(2).pixels);
  });

  it('every figure changes its own place of the background and nothing else', () => {
    const rng = new Rng(3);
    for (let i = 0; i < 200; i++) {
      const scene = sampleScene(rng, 'train');
      const empty = renderScene({ ...scene, items: [] }, sprites);
      const full = renderScene(scene, sprites);
      const touched = scene.items.map(() => 0);
      for (let p = 0; p < 64 * 64; p++) {
        const [x, y] = [p % 64, p >> 6];
        if ([0, 1, 2].every((c) => empty[p * 3 + c] === full[p * 3 + c])) continue;
        const owner = scene.items.findIndex((s) => x >= s.x && x < s.x + s.size && y >= s.y && y < s.y + s.size);
        assert.ok(owner >= 0, 'a pixel changed where no figure stands');
        touched[owner]++;
      }
      for (const [k, n] of touched.entries())
        assert.ok(n > 0.1 * scene.items[k].size ** 2, `${shortName(scene.items[k])} shows ${n} pixels`);
    }
  });

  it('the colours are told apart by their mean', () => {
    const hue = { red: 0, yellow: 48, green: 130, blue: 218, purple: 275, pink: 328 };
    for (const background of BACKGROUNDS) {
      for (const object of OBJECTS) {
        for (const color of COLORS) {
          const item = { object, color, category: 'object' as const, x: 16, y: 16, size: 32 };
          const empty = renderScene({ kind: 'single', background, items: [] }, sprites);
          const full = renderScene({ kind: 'single', background, items: [item] }, sprites);
          const mean = [0, 0, 0];
          for (let p = 0; p < 4096; p++) {
            const changed = [0, 1, 2].reduce((s, c) => s + Math.abs(empty[p * 3 + c] - full[p * 3 + c]), 0) > 60;
            if (changed) for (let c = 0; c < 3; c++) mean[c] += full[p * 3 + c];
          }
          const [r, g, b] = mean;
          const max = Math.max(r, g, b);
          const d = max - Math.min(r, g, b);
          const h = 60 * (max === r ? ((g - b) / d + 6) % 6 : max === g ? (b - r) / d + 2 : (r - g) / d + 4);
          const off = Math.abs(((h - hue[color] + 540) % 360) - 180);
          assert.ok(off < 20, `${color} ${object} on ${background}: hue ${h.toFixed(0)}`);
        }
      }
    }
  });

  it('says which sprite is missing', () => {
    const item = {
      object: 'dog' as const,
      color: null,
      category: 'subject' as const,
      style: 'oil',
      x: 0,
      y: 0,
      size: 40,
    };
    assert.throws(
      () => renderScene({ kind: 'subject', background: 'white', items: [item] }, sprites),
      /subject\/dog\/oil\/40/,
    );
  });
});
