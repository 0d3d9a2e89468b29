import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LazyImage, RewardSample } from '../../src/rewards';
import { sequenceForm, sequenceFormat } from '../../src/rewards';

const image = { image: {} as LazyImage };
const sample = (...outputs: RewardSample['outputs']): RewardSample => ({
  prompt: 'a dog',
  outputs,
  completion: '',
  references: [],
  truth: undefined,
});

const text = (words: string) => ({ text: words });
const xcot = sample(text('a blue dog'), image, text('the dog left of a cup'), image);

test('the form of an X-CoT is 1, all others are 0', async () => {
  assert.equal(sequenceForm(xcot.outputs), '<text><|image|><text><|image|>');
  const others = [
    sample(),
    sample(image),
    sample(text('a dog')),
    sample(text('a blue dog'), image),
    sample(text('a blue dog'), image, text('left'), image, text('and more')),
    sample(text(' '), image, text('left'), image),
    sample(image, text('left'), image),
    sample(text('<text><|image|><text><|image|>')),
  ];
  const scores = await sequenceFormat()([xcot, ...others]);
  assert.deepEqual(
    scores.map(({ value }) => value),
    [1, ...others.map(() => 0)],
  );
});

test('the end token behind the last image is no text, and another form can be asked for', async () => {
  const ended = sample(text('a blue dog'), image, text('left'), image, text(''));
  assert.deepEqual(
    (await sequenceFormat()([ended])).map(({ value }) => value),
    [1],
  );
  const any = sequenceFormat('<\\|image\\|>$');
  assert.deepEqual(
    (await any([sample(image), sample(text('a dog'))])).map(({ value }) => value),
    [1, 0],
  );
  assert.throws(() => sequenceFormat('('), SyntaxError);
});
