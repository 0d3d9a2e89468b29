/** Shades without a name: what training shows of kinds apart from colors. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  addColorAugmentation,
  COLORS,
  captionOf,
  HELD_OUT_COMBINATIONS,
  withAugmentedColors,
  loadSprites,
  OBJECTS,
  questionsOf,
  renderScene,
  sampleScene,
  AUGMENTED_COLORS,
  augmentedQuestions,
  augmentedColorsOf,
  type SpriteSheet,
  canAugmentColors,
  withoutColors,
} from '../../src/miniworld';
import { Rng } from '../../src/engine';
import { sceneSource } from '../../src/miniworld/curricula/scenes';
import { loadTokenizer } from '../../src/text';

let sprites: SpriteSheet;
before(async () => {
  sprites = await loadSprites();
  await addColorAugmentation(sprites);
});

test('no object comes in a shade near its held-out colour, and each has a few', () => {
  for (const { object, color } of HELD_OUT_COMBINATIONS) {
    const colorAugmentation = augmentedColorsOf(object);
    assert.ok(colorAugmentation.length >= 4, `${object}: ${colorAugmentation.join(' ')}`);
    for (const augmentedColor of colorAugmentation)
      assert.ok(!AUGMENTED_COLORS[augmentedColor].near.includes(color), `${augmentedColor} ${object}`);
  }
  assert.equal(HELD_OUT_COMBINATIONS.length, OBJECTS.length);
});

test('scenes of objects can be drawn in shades, each name in one look; subjects keep theirs', () => {
  let drawn = 0;
  for (let i = 0; i < 60; i++) {
    const rng = new Rng(i);
    const scene = sampleScene(rng, 'train');
    if (!canAugmentColors(scene)) {
      assert.match(scene.kind, /subject/);
      continue;
    }
    const shaded = withAugmentedColors(scene, rng);
    const looks = new Set(shaded.items.map(({ object, augmentedColor }) => `${object} ${augmentedColor}`));
    assert.equal(looks.size, new Set(scene.items.map(({ object }) => object)).size);
    assert.notDeepEqual(renderScene(shaded, sprites), renderScene(scene, sprites));
    drawn++;
  }
  assert.ok(drawn > 20);
});

test('texts say no colour; questions ask for none, and colour words in answers are marked', () => {
  assert.equal(
    withoutColors('a red umbrella left of an apple on a grey background'),
    'an umbrella left of an apple on a grey background',
  );
  const isColor = (word: string) => (COLORS as readonly string[]).includes(word);
  for (let i = 0; i < 60; i++) {
    const rng = new Rng(i);
    const scene = sampleScene(rng, 'train');
    if (!canAugmentColors(scene)) continue;
    assert.ok(!withoutColors(captionOf(scene, rng)).split(' ').some(isColor));
    for (const { type, problem, solution, colorWords } of augmentedQuestions(questionsOf(scene, rng))) {
      assert.notEqual(type, 'what_colour');
      if (type === 'yes_no') assert.ok(!problem.split(' ').some(isColor), problem);
      solution.split(' ').forEach((word, k) => assert.equal(colorWords.includes(k), isColor(word), solution));
    }
  }
});

test('in training, what is marked falls on the colour words’ tokens', () => {
  const text = loadTokenizer();
  const kinds = { single: 1, count: 1, pair: 1, subject: 0, 'subject+object': 0 };
  const source = sceneSource(sprites, text, 'train', { colorAugmentation: 1, kinds });
  let marked = 0;
  for (let i = 0; i < 20; i++) {
    for (const { answer, unscored = [] } of source.image(new Rng(i)).questions) {
      for (const place of unscored) assert.ok((COLORS as readonly string[]).includes(text.decode([answer[place]])));
      marked += unscored.length;
    }
  }
  assert.ok(marked > 10);
});
