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
  reservedSubjects,
  shownSubjects,
  subjectCaption,
  type XcotSubject,
  xcotSubjects,
} from '../../src/miniworld/xcot-subjects';

const hueOf = ({ color, hue }: XcotSubject) => hue ?? HUES[color as keyof typeof HUES];
const apart = (a: number, b: number) => Math.min((a - b + 360) % 360, (b - a + 360) % 360);

/** Color and hue of the dogs of one style. */
const dogs = (subjects: readonly XcotSubject[]) =>
  subjects
    .filter(({ object, style }) => object === 'dog' && style === 'openmoji')
    .map((dog) => `${dog.color ?? '-'} ${hueOf(dog)}`);

describe('subjects that are trained on', () => {
  let sprites: SpriteSheet;
  before(async () => {
    sprites = await loadSprites();
    await addXcotSubjects(sprites);
  });

  test('are drawings in three colors of each kind, each in two shades beside its own, and in colors that have no name', () => {
    assert.equal(xcotSubjects('train').length, 256);
    assert.equal(shownSubjects.length, 3 * 192 + 72);
    assert.equal(shownSubjects.filter(({ color }) => color === null).length, 72);
    // A dog is held out in red and blue, and reserved in yellow: what lies between purple and pink stays.
    assert.deepEqual(dogs(shownSubjects), [
      ...['green 130', 'purple 275', 'pink 325'],
      ...['green 118', 'green 142', 'purple 263', 'purple 287', 'pink 313', 'pink 337'],
      '- 300',
    ]);
  });

  test('are other colors of a kind where reinforcement learns: one of each kind, with its shades', () => {
    assert.equal(reservedSubjects.length, 3 * 64);
    assert.deepEqual(dogs(reservedSubjects), ['yellow 46', 'yellow 34', 'yellow 58']);
    assert.deepEqual(new Set(reservedSubjects.map(({ object }) => object)).size, 16);
    for (const reserved of reservedSubjects)
      for (const shown of shownSubjects.filter(({ object }) => object === reserved.object))
        assert.ok(
          apart(hueOf(shown), hueOf(reserved)) >= 15,
          `${subjectCaption(reserved)} ${hueOf(reserved)}, ${hueOf(shown)}`,
        );
  });

  test('are far from the held-out colors of their kind', () => {
    for (const subject of [...shownSubjects, ...reservedSubjects])
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
    for (const subject of [...shownSubjects, ...reservedSubjects, ...xcotSubjects('heldout')]) {
      const pixels = Buffer.from(imageOf(focusScene(subject), sprites).rgb).toString('latin1');
      const name = `${subjectCaption(subject)} ${hueOf(subject)} ${subject.style}`;
      assert.equal(looks.get(pixels), undefined, name);
      looks.set(pixels, name);
    }
  });

  test('a color without a name is not named, in caption and plan', () => {
    const dog: XcotSubject = { object: 'dog', color: null, hue: 300, style: 'openmoji' };
    const owl: XcotSubject = { object: 'owl', color: null, hue: 300, style: 'openmoji' };
    assert.deepEqual([subjectCaption(dog), subjectCaption(owl)], ['a dog', 'an owl']);
    assert.equal(subjectCaption({ ...dog, color: 'pink', hue: 313 }), 'a pink dog');
    const wish = { background: 'beach', object: { color: 'red', object: 'cup' } } as const;
    const { truth } = renderPair(dog, wish, new Rng(1), sprites);
    assert.match(planText(dog, truth.target), /^a dog (left|right) of a red cup /);
  });
});
