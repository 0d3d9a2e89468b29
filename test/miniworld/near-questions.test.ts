/** Questions whether something is there, by names that differ in one word from what is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Rng } from '../../src/engine/random';
import { isHeldOut, sampleScene, type Scene, SCENE_KINDS, shortName } from '../../src/miniworld';
import { nearQuestions } from '../../src/miniworld/questions';

const redCar: Scene = {
  kind: 'single',
  background: 'snow',
  items: [{ object: 'car', color: 'red', category: 'object', x: 8, y: 8, size: 32 }],
};

const asked = (problem: string) => /^is there a (\S+) (\S+) \?$/.exec(problem)?.slice(1) ?? [];

test('are asked four times of a red car: twice by its name, by another color, by another object', () => {
  const questions = nearQuestions(redCar, new Rng(1));
  assert.deepEqual(
    questions.map(({ solution }) => solution),
    ['yes', 'yes', 'no', 'no'],
  );
  const [own, again, color, object] = questions.map(({ problem }) => asked(problem));
  assert.deepEqual(
    [own, again],
    [
      ['red', 'car'],
      ['red', 'car'],
    ],
  );
  assert.equal(color[1], 'car');
  assert.notEqual(color[0], 'red');
  assert.equal(object[0], 'red');
  assert.notEqual(object[1], 'car');
});

test('say the truth about every scene, and name nothing that is held out in scenes of training', () => {
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom(...SCENE_KINDS), (seed, kind) => {
      const scene = sampleScene(new Rng(seed), 'train', kind);
      const there = new Set(scene.items.filter(({ category }) => category === 'object').map(shortName));
      const questions = nearQuestions(scene, new Rng(seed).split('near'));
      assert.equal(questions.length, 4 * there.size);
      for (const { problem, solution } of questions) {
        const [color, object] = asked(problem);
        assert.equal(solution, there.has(`${color} ${object}`) ? 'yes' : 'no', problem);
        assert.ok(!isHeldOut(object, color), problem);
      }
    }),
  );
});
