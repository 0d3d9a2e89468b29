import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { namingQuestions, sampleScene, type Scene, SCENE_KINDS, shortName } from '../../src/miniworld';
import { Rng } from '../../src/engine/random';

const ENDS = { left: ['x', -1], right: ['x', 1], top: ['y', -1], bottom: ['y', 1] } as const;

test('questions of names ask for all there is, and for what stands at each end', () => {
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom(...SCENE_KINDS), (seed, kind) => {
      const scene = sampleScene(new Rng(seed), 'train', kind);
      const [all, ...ends] = namingQuestions(scene);
      const names = [...new Set(scene.items.map(({ object }) => object))];
      for (const name of names) assert.match(all.solution, new RegExp(`\\b${name}s?\\b`));
      assert.equal(ends.length, names.length === 2 ? 2 : 0);
      const middle = ({ x, y, size }: Scene['items'][number]) => ({ x: x + size / 2, y: y + size / 2 });
      for (const { problem, solution } of ends) {
        const [axis, sign] = ENDS[/(left|right|top|bottom) \?$/.exec(problem)?.[1] as keyof typeof ENDS];
        const [first] = [...scene.items].sort((a, b) => sign * (middle(b)[axis] - middle(a)[axis]));
        assert.equal(solution.replace(/^an? /, ''), shortName(first));
      }
      // No answer is longer than what models are given room for.
      assert.ok(all.solution.split(' ').length <= 8);
    }),
  );
});
