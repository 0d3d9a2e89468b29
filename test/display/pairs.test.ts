import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jupyterDisplay, pairView } from '../../src/display';

const image = { width: 8, height: 8, rgb: new Uint8Array(192).fill(40) };

test('pairs stand with their rewards, the best first, those without a sum last; texts are no markup', async () => {
  const view = pairView(
    [
      { image, answer: 'worse', rewards: { tim: 0.25 }, total: 0.25, advantage: -1 },
      { answer: 'none', total: NaN, advantage: 0 },
      { image, answer: '<b>best</b>', rewards: { tim: 0.5, format: 1 }, total: 1.5, advantage: 1 },
    ],
    { prompt: 'a red car', question: 'how many ?', solution: 'two', real: image },
  );
  assert.deepEqual(view.text.split('\n'), [
    'prompt: a red car',
    'question: how many ?',
    'solution: two',
    'tim 0.500 · format 1.000 · R 1.500 · A 1.000  <b>best</b>',
    'tim 0.250 · format - · R 0.250 · A -1.000  worse',
    'tim - · format - · R NaN · A 0.000  none',
  ]);
  const markup = String((await view[jupyterDisplay]())['text/html']);
  assert.equal(markup.split('<img').length - 1, 3);
  assert.ok(markup.includes('&lt;b&gt;best') && !markup.includes('<b>best'));
  assert.throws(() => pairView([]), /at least one pair/);
});
