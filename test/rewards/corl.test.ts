import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { answerAccuracy, answerFormat, answerReward, equalAnswers, formatReward } from '../../src/rewards';
import { answerIn, blockRatio, expectedAnswer, softJaccard } from '../../src/text';
import { sampleOf } from './sample';

const problem = 'What is shown?\nA. a red cat\n  B. a dog \nC. two birds';
const choice = (answer: string, solution = '<answer>B</answer>') =>
  answerAccuracy(
    `<think>I see it.</think><answer>${answer}</answer>`,
    { solution, problem },
    { form: 'multiple_choice' },
  );
const soft = (answer: string, solution: string) =>
  answerAccuracy(`<answer>${answer}</answer>`, { solution, problem: '' }, { form: 'soft' }).value;

describe('the answer in a completion', () => {
  it('is the first in tags on one line, else what thoughts and tags leave', () => {
    assert.equal(answerIn('<think>x\ny</think>\n<answer> B\u00a0</answer>'), 'B');
    assert.equal(answerIn('<think>maybe <answer>A</answer></think><answer>B</answer>'), 'A');
    assert.equal(answerIn('<think>x</think><answer>\nB\n</answer>'), 'B');
    assert.equal(answerIn('Answer: dog'), 'dog');
    assert.equal(answerIn('<think>so B'), 'so B');
    assert.equal(answerIn('<answer>B\u200b</answer>'), 'B\u200b');
    assert.equal(expectedAnswer(' <answer> C </answer> '), 'C');
    assert.equal(expectedAnswer(' the <dog> '), 'the <dog>');
  });
});

describe('accuracy', () => {
  it('of an open answer is 1 up to case, last dots and number words, else 0', () => {
    for (const [answer, expected] of ['Dog... dog', 'three 3', '100 hundred', 'Million. 1000000', 'ZERO 0'].map(
      (pair) => pair.split(' '),
    ))
      assert.ok(equalAnswers(answer, expected), `${answer} ${expected}`);
    for (const [answer, expected] of ['dog! dog', '3.0 3', 'point .', 'straße strasse'].map((pair) => pair.split(' ')))
      assert.ok(!equalAnswers(answer, expected), `${answer} ${expected}`);
    assert.ok(!equalAnswers('twenty one', '21'));
  });

  it('of a choice takes the letter, a sentence that names it, or the words of the option', () => {
    for (const right of ['B', 'b', 'B..', 'answer is B', 'I choose B, not A', 'The answer is Banana, so B', 'a dog'])
      assert.equal(choice(right).value, 1, right);
    assert.equal(choice('The answer is "a dog"').value, 1);
    assert.equal(choice("the correct choice is 'a dog'").value, 1);
    for (const wrong of [
      'A',
      'B)',
      '(B)',
      '**B**',
      'B. a dog',
      'answer: B',
      'A or B',
      'A DOG',
      'It is a dog',
      'éB is it',
    ])
      assert.equal(choice(wrong).value, 0, wrong);
    assert.deepEqual(choice('bird', 'E'), { value: 0, reason: "the question has no option 'E'" });
  });

  it('with soft credit is Jaccard over words, nearly equal ones by their likeness', () => {
    assert.equal(soft('the dog', 'dog'), 1 / 2);
    assert.equal(soft('brown dog', 'dog brown'), 1);
    assert.equal(soft('dog cat,', 'dog cat'), 1);
    // dogs ~ dog = 2 * 3 / 7 = 6/7, so (6/7) / (1 + 1 - 6/7) = 6/8
    assert.ok(Math.abs(soft('dogs', 'dog') - 6 / 8) < 1e-12);
    assert.equal(soft('abcd', 'abce'), 0); // 6/8 is below 0.8
    assert.equal(blockRatio('tide', 'diet'), 2 / 8);
    assert.equal(blockRatio('diet', 'tide'), 4 / 8);
    assert.equal(blockRatio('cats😀', 'cats'), 8 / 9);
    assert.equal(softJaccard('', ''), 0);
  });

  it('stays in [0, 1], and is 1 for the solution itself, in every form', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (completion, solution) => {
        for (const form of ['open_ended', 'multiple_choice', 'soft'] as const) {
          const { value } = answerAccuracy(completion, { solution, problem }, { form });
          assert.ok(value >= 0 && value <= 1 + 1e-12, `${form} ${value}`);
        }
      }),
    );
    const plainWord = fc.stringMatching(/^[a-z]{1,8}( [a-z]{1,8}){0,3}$/);
    fc.assert(
      fc.property(plainWord, (word) => {
        assert.equal(soft(word, word), 1);
        assert.equal(choice(word, word).value, 1);
      }),
    );
  });

  it('is a reward: the prompt is the question by default, and a task without a solution costs its sample alone', async () => {
    const reward = answerReward({ form: 'multiple_choice' });
    assert.equal(reward.name, 'accuracy_multiple_choice');
    assert.equal(answerReward().name, 'accuracy_open_ended');
    const completion = '<think>x</think><answer>a dog</answer>';
    const scores = await reward([
      sampleOf({ text: problem, completion, truth: { solution: 'B' } }),
      sampleOf({ text: 'a dog runs', completion, truth: { solution: 'C', problem } }),
      sampleOf({ text: problem, completion }) as never,
    ]);
    assert.deepEqual(scores, [{ value: 1 }, { value: 0 }, { value: NaN, reason: 'the task gives no solution' }]);
  });
});

describe('format', () => {
  it('asks the whole completion to be a thought and an answer', async () => {
    const three = (completion: string) =>
      (['whole', 'once', 'tags'] as const).map((form) => answerFormat(completion, { form }));
    assert.deepEqual(three('<think>a\n</think> ..\r\n<answer>b</answer>'), [1, 1, 0.5]);
    assert.deepEqual(three('<think>a</think><answer>b</answer>\n'), [0, 0, 0.5]);
    assert.deepEqual(three('<think>a</think><answer>b</answer><answer>c</answer>'), [1, 0, 0.25]);
    assert.deepEqual(three('<answer>b</answer>'), [0, 0, 0.25]);
    assert.deepEqual(three('<think>a</think>\ufeff<answer>b</answer>'), [0, 0, 0.5]);
    assert.deepEqual(three(''), [0, 0, 0]);
    const tags = formatReward({ form: 'tags' });
    assert.deepEqual([formatReward().name, tags.name, tags.range], ['format', 'format_tags', [0, 0.5]]);
    assert.deepEqual(await formatReward()([sampleOf({ completion: '<think></think><answer></answer>' })]), [
      { value: 1 },
    ]);
  });
});
