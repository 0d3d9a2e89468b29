import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { COLORS, findConcept, BACKGROUNDS, sampleScene, type Scene } from '../../../src/miniworld';
import { Rng } from '../../../src/engine';
import {
  decodeDetections,
  type CellProbabilities,
  backgroundProbability,
  identityProbability,
  placeOf,
  presence,
  scoreConcept,
  scoreScene,
  type Detections,
} from '../../../src/miniworld/detector';
import {
  CATEGORIES,
  CELLS,
  cellTargets,
  GRID,
  IDENTITIES,
  IGNORED,
  NONE,
  OTHER,
} from '../../../src/miniworld/detector/labels';

/** Probabilities that say exactly what the targets say. */
function certain(scene: Scene, identity?: string): CellProbabilities {
  const targets = cellTargets(scene, identity);
  const oneHot = (ids: Int32Array, width: number) => {
    const out = new Float32Array(ids.length * width);
    ids.forEach((id, cell) => (out[cell * width + (id === IGNORED ? 0 : id)] = 1));
    return out;
  };
  const background = new Float32Array(BACKGROUNDS.length);
  background[targets.background] = 1;
  return {
    category: oneHot(targets.category, CATEGORIES.length + 1),
    color: oneHot(targets.color, COLORS.length),
    identity: oneHot(targets.identity, IDENTITIES.length + 1),
    offset: targets.offset,
    background,
  };
}

const read = (scene: Scene, identity?: string): Detections => decodeDetections(certain(scene, identity));
const scenes = fc
  .tuple(fc.integer(), fc.constantFrom('train' as const, 'heldout' as const))
  .map(([seed, split]) => sampleScene(new Rng(seed), split));

describe('what the scene detector says', () => {
  it('reads from certain outputs exactly the scene they were made from', () => {
    fc.assert(
      fc.property(scenes, (scene) => {
        const detections = read(scene);
        assert.equal(detections.background, scene.background);
        assert.equal(detections.items.length, scene.items.length);
        for (const item of scene.items) {
          const found = detections.items.find(
            (i) => Math.hypot(i.x - item.x - item.size / 2, i.y - item.y - item.size / 2) < 0.01,
          );
          assert.equal(found?.object, item.object);
          assert.equal(found?.color, item.color);
        }
        const score = scoreScene(detections, scene);
        assert.deepEqual(
          { ...score, color: score.color ?? true, position: score.position ?? true },
          { object: true, color: true, count: true, position: true, background: true, exact: true },
        );
      }),
    );
  });

  it('takes only peaks above one half, and the first of equal neighbours', () => {
    const width = CATEGORIES.length + 1;
    const category = new Float32Array(CELLS * width);
    const put = (cell: number, p: number) => {
      category.fill(0, cell * width, (cell + 1) * width);
      category[cell * width] = p;
      category[cell * width + NONE] = 1 - p;
    };
    for (let cell = 0; cell < CELLS; cell++) put(cell, 0);
    put(0, 0.9);
    put(1, 0.7); // beside a higher one
    put(GRID * 4 + 4, 0.6);
    put(GRID * 4 + 5, 0.6); // equal: the first one counts
    put(CELLS - 1, 0.5); // not above one half
    const detections = decodeDetections({
      category,
      color: new Float32Array(CELLS * 6),
      identity: new Float32Array(CELLS * 21),
      offset: new Float32Array(CELLS * 2),
      background: new Float32Array(9),
    });
    assert.deepEqual(
      detections.items.map((item) => [item.x, item.y]),
      [
        [4, 4],
        [36, 36],
      ],
    );
  });

  it('tells what is wrong: object, colour, count, place, background, something extra', () => {
    const truth: Scene = {
      kind: 'pair',
      background: 'rain',
      items: [
        { object: 'car', color: 'red', category: 'object', x: 0, y: 16, size: 28 },
        { object: 'cup', color: 'blue', category: 'object', x: 36, y: 16, size: 28 },
      ],
    };
    const [car, cup] = truth.items;
    const against = (shown: Partial<Scene>) => scoreScene(read({ ...truth, ...shown }), truth);
    assert.deepEqual(against({}), {
      object: true,
      color: true,
      count: true,
      position: true,
      background: true,
      exact: true,
    });
    assert.deepEqual(against({ background: 'snow' }), {
      object: true,
      color: true,
      count: true,
      position: true,
      background: false,
      exact: false,
    });
    assert.deepEqual(against({ items: [{ ...car, color: 'green' }, cup] }), {
      object: true,
      color: false,
      count: true,
      position: true,
      background: true,
      exact: false,
    });
    assert.deepEqual(
      against({
        items: [
          { ...car, color: 'blue' },
          { ...cup, color: 'red' },
        ],
      }).color,
      false,
    );
    assert.deepEqual(against({ items: [{ ...car, object: 'boat' }, cup] }), {
      object: false,
      color: false,
      count: false,
      position: false,
      background: true,
      exact: false,
    });
    assert.deepEqual(
      against({
        items: [
          { ...car, x: 36 },
          { ...cup, x: 0 },
        ],
      }),
      { object: true, color: true, count: true, position: false, background: true, exact: false },
    );
    const extra = against({
      items: [
        { ...car, y: 0 },
        { ...cup, y: 0 },
        { ...car, object: 'hat', x: 20, y: 36 },
      ],
    });
    assert.deepEqual(extra, { object: true, color: true, count: true, position: true, background: true, exact: false });
    const twice = against({
      items: [
        { ...car, y: 0 },
        { ...cup, y: 0 },
        { ...car, y: 36 },
      ],
    });
    assert.equal(twice.count, false);
    assert.equal(twice.exact, false);
  });

  it('names places', () => {
    assert.deepEqual(
      [
        { x: 31, y: 32 },
        { x: 20, y: 32 },
        { x: 44, y: 30 },
        { x: 31, y: 18 },
        { x: 30, y: 46 },
      ].map(placeOf),
      ['centre', 'left', 'right', 'top', 'bottom'],
    );
  });

  it('grades presence, background and identity between 0 and 1', () => {
    const mira = findConcept('mira');
    const scene: Scene = {
      kind: 'subject+object',
      background: 'rain',
      items: [
        { object: 'person', color: null, category: 'subject', x: 0, y: 16, size: 36 },
        { object: 'cup', color: 'blue', category: 'object', x: 40, y: 28, size: 24 },
      ],
    };
    const p = certain(scene, mira.name);
    const dim = (values: Float32Array, factor: number) => values.map((v) => v * factor);
    const detections = decodeDetections({
      ...p,
      color: dim(p.color, 0.5),
      background: dim(p.background, 0.25),
      identity: dim(p.identity, 0.75),
    });
    assert.equal(presence(detections, 'cup'), 1);
    assert.equal(presence(detections, 'cup', 'blue'), 0.5);
    assert.equal(presence(detections, 'cup', 'red'), 0);
    assert.equal(presence(detections, 'hat', 'blue'), 0);
    assert.equal(backgroundProbability(detections, 'rain'), 0.25);
    assert.equal(identityProbability(detections, 'mira'), 0.75);
    assert.equal(identityProbability(detections, 'otto'), 0);
    const score = scoreConcept(detections, 'mira', { background: 'rain', object: { object: 'cup', color: 'blue' } });
    assert.deepEqual(score, { identity: 0.75, object: 0.5, background: 0.25, mean: 0.5 });
    assert.equal(scoreConcept(detections, 'mira', { background: 'rain', object: null }).mean, 0.5);
    assert.equal(read(scene, 'mira').items.find((i) => i.category === 'subject')?.identity, 'mira');
    assert.equal(read(scene).items.find((i) => i.category === 'subject')?.identity, null);
    assert.throws(() => identityProbability(detections, 'nobody'), /knows no concept 'nobody'/);
  });

  it('marks cells by the distance of centres, moved with the image', () => {
    const scene: Scene = {
      kind: 'single',
      background: 'white',
      items: [{ object: 'car', color: 'red', category: 'object', x: 0, y: 0, size: 40 }],
    };
    const at = (shift: [number, number]) =>
      [...cellTargets(scene, undefined, shift).category].flatMap((c, cell) => (c === NONE ? [] : [cell]));
    assert.deepEqual(at([0, 0]), [2 * GRID + 2]);
    assert.deepEqual(at([4, 0]), [2 * GRID + 2, 2 * GRID + 3]); // on the border of two cells both see it
    assert.equal(
      cellTargets({ ...scene, items: [{ ...scene.items[0], object: 'dog', color: null, category: 'subject' }] })
        .identity[2 * GRID + 2],
      OTHER,
    );
  });
});
