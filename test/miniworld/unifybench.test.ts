import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Rng, startEngine } from '../../src/engine';
import type { Detections } from '../../src/miniworld/detector';
import { unifyItems } from '../../src/miniworld/benchmarks/unifybench';
import { findConcept } from '../../src/miniworld/concepts';
import { loadSprites } from '../../src/miniworld/sprites';
import { loadTokenizer } from '../../src/text';

before(() => startEngine({ precision: 'float32', quiet: true }));

test("UnifyBench's nine columns of a subject: distinct prompts of each, in words for who did not learn it", async () => {
  const concept = findConcept('mira');
  const items = unifyItems(concept, 4, new Rng(1), await loadSprites());
  assert.equal(new Set(items.map(({ id }) => id)).size, items.length);
  const columns = new Map<string, number>();
  for (const { id } of items) {
    const column = id.split(' ')[1].replace(':', '');
    columns.set(column, (columns.get(column) ?? 0) + 1);
  }
  assert.deepEqual(
    ['qa', 'pure_gen', 'dense_gen', 'rea', 'dense_rea'].map((column) => columns.get(column)),
    [1, 4, 4, 4, 4],
  );
  // As many images of others as of the subject: who always says no is right in half.
  const recognition = items.filter(({ id }) => id.startsWith('mira rec:'));
  const [yes, no] = ['yes', 'no'].map((answer) =>
    recognition.map(({ hear }) => hear?.(answer).rec ?? 0).reduce((sum, hit) => sum + hit, 0),
  );
  assert.equal(yes, no);
  assert.equal(yes + no, recognition.length);
  const words = loadTokenizer();
  for (const { ask } of items)
    if (ask.kind === 'image') {
      assert.ok(ask.prompt.includes('<sks>') && !ask.inWords?.includes('<sks>'));
      assert.ok(words.encode(ask.inWords ?? '').length > 4);
    }
});

test('what fits is said first and drawn then: one item, two columns', async () => {
  const items = unifyItems(findConcept('mira'), 4, new Rng(1), await loadSprites());
  const item = items.find(({ id }) => id.startsWith('mira rea:')) ?? assert.fail('there is no such item');
  assert.ok(item.ask.kind === 'image' && item.ask.reason);
  const { question, complete } = item.ask.reason;
  assert.ok(question.includes('<sks>'));
  assert.equal(
    complete('a photo of <sks> at night', 'beside a red cup'),
    'a photo of <sks> at night . <sks> is beside a red cup',
  );
  assert.deepEqual(item.hear?.('no idea'), { rea: 0 });
  const nothing = { items: [], background: 'white', probabilities: { background: new Float32Array(9) } };
  const seen = { ...nothing, probabilities: blank() } as unknown as Detections;
  assert.deepEqual(item.look?.(seen), { rea_gen: 0 });
});

/** Probabilities of an image in which nothing is seen. */
function blank() {
  const zeros = (size: number) => new Float32Array(size);
  return {
    ...{ category: zeros(64 * 32), color: zeros(64 * 6), identity: zeros(64 * 21) },
    ...{ offset: zeros(64 * 2), background: zeros(9) },
  };
}
