/** Subjects of MM-R1: which are trained on, and that none of them looks like one that is held out. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { Rng } from '../../src/engine';
import { HUES } from '../../src/miniworld/concepts';
import { loadSprites, type SpriteSheet } from '../../src/miniworld/sprites';
import {
  addXcotSubjects,
  focusScene,
  imageOf,
  planText,
  renderPair,
  subjectCaption,
  trainedSubjects,
  type XcotSubject,
  xcotSubjects,
} from '../../src/miniworld/xcot-subjects';

const hueOf = ({ color, hue }: XcotSubject) => hue ?? HUES[color as keyof typeof HUES];
const apart = (a: number, b: number) => Math.min((a - b + 360) % 360, (b - a + 360) % 360);

describe('subjects that are trained on', () => {
  let sprites: SpriteSheet;
  before(async () => {
    sprites = await loadSprites();
    await addXcotSubjects(sprites);
  });

  test('are 256 drawings in colors that have names, each in two shades beside its own, and 144 in colors that have none', () => {
    assert.equal(xcotSubjects('train').length, 256);
    assert.equal(trainedSubjects.length, 3 * 256 + 144);
    const unnamed = trainedSubjects.filter(({ color }) => color === null);
    assert.equal(unnamed.length, 144);
    // A dog is held out in red and blue: what lies between yellow and green stays, and what lies between purple and pink.
    const dogs = trainedSubjects.filter(({ object, style }) => object === 'dog' && style === 'openmoji');
    assert.deepEqual(
      dogs.map((dog) => `${dog.color ?? '-'} ${hueOf(dog)}`),
      [
        ...['yellow 46', 'green 130', 'purple 275', 'pink 325'],
        ...['yellow 34', 'yellow 58', 'green 118', 'green 142', 'purple 263', 'purple 287', 'pink 313', 'pink 337'],
        ...['- 88', '- 300'],
      ],
    );
  });

  test('are far from the held-out colors of their kind', () => {
    for (const subject of trainedSubjects)
      for (const held of xcotSubjects('heldout').filter(({ object }) => object === subject.object)) {
        assert.notEqual(subject.color, held.color);
        assert.ok(
          apart(hueOf(subject), hueOf(held)) >= 25,
          `${subjectCaption(subject)} ${hueOf(subject)}, ${held.color}`,
        );
      }
  });

  test('look different, each from every other one of its kind and style', () => {
    const looks = new Map<string, string>();
    for (const subject of [...trainedSubjects, ...xcotSubjects('heldout')]) {
      const pixels = Buffer.from(imageOf(focusScene(subject), sprites).rgb).toString('latin1');
      const name = `${subjectCaption(subject)} ${hueOf(subject)} ${subject.style}`;
      assert.equal(looks.get(pixels), undefined, name);
      looks.set(pixels, name);
    }
  });

  test('a color without a name is not named, in caption and plan', () => {
    const dog: XcotSubject = { object: 'dog', color: null, hue: 88, style: 'openmoji' };
    const owl: XcotSubject = { object: 'owl', color: null, hue: 88, style: 'openmoji' };
    assert.deepEqual([subjectCaption(dog), subjectCaption(owl)], ['a dog', 'an owl']);
    assert.equal(subjectCaption({ ...dog, color: 'pink', hue: 313 }), 'a pink dog');
    const wish = { background: 'beach', object: { color: 'red', object: 'cup' } } as const;
    const { truth } = renderPair(dog, wish, new Rng(1), sprites);
    assert.match(planText(dog, truth.target), /^a dog (left|right) of a red cup /);
  });
});
