import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Rng, startEngine, tf } from '../../src/engine';
import { benchmarkMetrics, evaluateUnifyBench, UNIFY_COLUMNS } from '../../src/miniworld/benchmarks';
import { findConcept } from '../../src/miniworld/concepts';
import { tinyJanus } from './tiny-janus';

before(() => startEngine({ precision: 'float32', quiet: true }));

test("UnifyBench's nine columns of a subject, on a tiny random Janus that has its tokens", async () => {
  const concept = findConcept('mira');
  const model = tinyJanus();
  model.addConceptTokens({ initializer: concept.class, understanding: 2, generation: 1 }, new Rng(1));
  const held = tf.memory().numTensors;
  const { items } = await evaluateUnifyBench(model, concept, new Rng(1), { n: 4, text: { maxNewTokens: 3 } });
  assert.equal(tf.memory().numTensors, held);
  assert.equal(new Set(items.map(({ prompt }) => prompt)).size, items.length);
  const metrics = benchmarkMetrics(UNIFY_COLUMNS, items, new Rng(1));
  assert.deepEqual(Object.keys(metrics), UNIFY_COLUMNS.columns);
  for (const column of ['rea', 'dense_rea', 'pure_gen', 'dense_gen', 'rea_gen', 'dense_rea_gen'])
    assert.equal(metrics[column].n, 4, column);
  // As many images of others as of the subject: who always says no is right in half.
  assert.equal(metrics.rec.n % 2, 0);
  assert.ok(Object.values(metrics).every(({ value }) => value >= 0 && value <= 1));
  model.dispose();
});
