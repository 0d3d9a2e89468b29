/** Tones of every hue: what lessons in seeing show of kinds apart from colors. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { HUES } from '../../src/miniworld/concepts';
import { patchHues, patchSource } from '../../src/miniworld/curricula/janus-patches';
import { sceneSource } from '../../src/miniworld/curricula/scenes';
import { underAnyName } from '../../src/miniworld/questions';
import { renderScene } from '../../src/miniworld/render';
import { sampleScene } from '../../src/miniworld/scene';
import { loadSprites, type SpriteSheet } from '../../src/miniworld/sprites';
import { addTones, TONES, tonesOf, withTones } from '../../src/miniworld/tones';
import { COLORS, HELD_OUT_COMBINATIONS, OBJECTS } from '../../src/miniworld/world';
import { Rng } from '../../src/engine';
import { loadTokenizer } from '../../src/text';

let sprites: SpriteSheet;
before(async () => {
  sprites = await loadSprites();
  await addTones(sprites);
});

test('an object comes in most hues, and in none within 32 degrees of the color it is held out in', () => {
  for (const { object, color } of HELD_OUT_COMBINATIONS) {
    const tones = tonesOf(object);
    assert.ok(tones.length > 80 && tones.length < Object.keys(TONES).length, `${object}: ${tones.length}`);
    for (const tone of tones) {
      const turn = Math.abs(TONES[tone].hue - HUES[color]);
      assert.ok(Math.min(turn, 360 - turn) >= 32, `${tone} ${object}`);
    }
  }
  assert.equal(tonesOf('car').includes('full-130'), false); // green
  assert.ok(tonesOf('car').includes('full-0'));
});

test('a scene in tones looks otherwise where it has objects; animals, things and people stay as they are', () => {
  for (let i = 0; i < 40; i++) {
    const scene = sampleScene(new Rng(i), 'train');
    const toned = withTones(scene, new Rng(i));
    toned.items.forEach((item, at) => {
      if (item.category === 'object') assert.ok(tonesOf(item.object).includes(item.augmentedColor ?? ''));
      else assert.deepEqual(item, scene.items[at]);
    });
    const same = Buffer.from(renderScene(toned, sprites)).equals(renderScene(scene, sprites));
    assert.equal(same, !scene.items.some(({ category }) => category === 'object'));
  }
});

test('patches of objects in tones are asked for their kind, not for their color', () => {
  const source = patchSource(sprites, 8, 'train', { tones: 1 });
  let objects = 0;
  for (let i = 0; i < 20; i++) {
    const { kind, color } = source(new Rng(i)).labels;
    Array.from(kind).forEach((one, at) => {
      const object = one > 0 && one <= OBJECTS.length;
      objects += Number(object);
      assert.equal(color[at], object ? -100 : 0);
    });
  }
  assert.ok(objects > 100);
});

test('what is asked about is seen in tones, what is drawn is not; no question asks for a color', () => {
  const text = loadTokenizer();
  const [plain, toned] = [0, 1].map((tones) => sceneSource(sprites, text, 'train', { tones, naming: true }));
  const colors = new Set(COLORS.flatMap((color) => text.encode(color)));
  let seen = 0;
  for (let i = 0; i < 40; i++) {
    const [before, after] = [plain.image(new Rng(i)), toned.image(new Rng(i))];
    assert.equal(before.seen, undefined);
    assert.ok(Buffer.from(before.pixels).equals(after.pixels));
    assert.deepEqual(before.caption, after.caption);
    assert.ok(after.seen);
    seen += Number(!Buffer.from(after.seen).equals(after.pixels));
    for (const { answer, unscored } of after.questions)
      answer.forEach((word, at) => {
        if (colors.has(word)) assert.ok(unscored?.includes(at), text.decode(answer));
      });
  }
  assert.ok(seen > 25, String(seen));
});

test('the only object may be called anything when its color is asked for; other questions and pairs stay as they are', () => {
  const item = { category: 'object', x: 24, y: 24, size: 16 } as const;
  const [fish, cup] = [
    { ...item, object: 'fish', color: 'blue' },
    { ...item, object: 'cup', color: 'red' },
  ] as const;
  const color = { type: 'what_colour', problem: 'what colour is the fish ?', solution: 'blue' } as const;
  const many = { ...color, problem: 'what colour are the fish ?' };
  const one = { kind: 'single', items: [fish], background: 'snow' } as const;
  const names = new Set<string>();
  for (let i = 0; i < 200; i++) {
    const { problem, solution } = underAnyName(one, color, new Rng(i));
    assert.equal(solution, 'blue');
    names.add(/^what colour is the (\w+) \?$/.exec(problem)?.[1] ?? problem);
  }
  assert.deepEqual([...names].sort(), OBJECTS.filter((object) => object !== 'fish').sort());
  assert.notEqual(underAnyName({ ...one, kind: 'count', items: [fish, fish] }, many, new Rng(1)).problem, many.problem);
  assert.equal(underAnyName({ ...one, kind: 'pair', items: [fish, cup] }, color, new Rng(1)), color);
  const what = { type: 'what', problem: 'what is in the picture ?', solution: 'a blue fish' } as const;
  assert.equal(underAnyName(one, what, new Rng(1)), what);
});

test('hues of patches: of colors, tones and shades; none where there is no figure, no color, or a gray one', () => {
  const scene = sampleScene(new Rng(3), 'train', 'single');
  const at = (item: object) => {
    const hues = patchHues({ ...scene, items: [{ ...scene.items[0], x: 8, y: 16, size: 8, ...item }] }, 8);
    assert.equal(hues.length, 64);
    hues.forEach((hue, i) => assert.ok(i === 2 * 8 + 1 || Number.isNaN(hue), String(i)));
    return hues[2 * 8 + 1];
  };
  assert.equal(at({ color: 'blue' }), 215);
  assert.equal(at({ color: 'red', augmentedColor: 'deep-120' }), 120);
  assert.equal(at({ color: 'red', augmentedColor: 'teal' }), 174);
  assert.ok(Number.isNaN(at({ color: 'red', augmentedColor: 'slate' })));
  assert.ok(Number.isNaN(at({ color: null })));
});
