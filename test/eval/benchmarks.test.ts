import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as bench from '../../src/eval';

const near = (got: number | null, expected: number): void => {
  assert.ok(got !== null && Math.abs(got - expected) < 1e-12, `${got} is not ${expected}`);
};

describe('GenEval', () => {
  it('weighs each task the same, and a prompt by its metadata', () => {
    // counting: 1 of 1; colors: 1 of 4 over two prompts of the same words.
    const got = bench.genEval([
      { tag: 'counting', metadata: 'a', correct: true },
      { tag: 'colors', metadata: 'b', correct: true },
      { tag: 'colors', metadata: 'b', correct: false },
      { tag: 'colors', metadata: 'c', correct: false },
      { tag: 'colors', metadata: 'c', correct: false },
    ]);
    near(got.overall, (1 + 0.25) / 2);
    near(got.images, 0.4);
    near(got.prompts, 2 / 3);
    assert.deepEqual(got.tasks.get('colors'), { score: 0.25, correct: 1, total: 4 });
    assert.throws(() => bench.genEval([]), /a mean needs at least one of: GenEval/);
  });
});

describe('DPG-Bench', () => {
  const ask = (id: number, parents: number[], tuple: string): bench.DpgQuestion => ({ id, dependency: parents, tuple });
  const chain = [
    ask(1, [0], 'entity - whole (cat)'),
    ask(2, [1], 'entity - part (cat, hat)'),
    ask(3, [2], 'attribute - color (hat, red)'),
  ];

  it('carries a no down a chain whose parents are listed first', () => {
    assert.deepEqual(bench.dpgQuestionScores(chain, ['no', 'yes', 'yes']), [0, 0, 0]);
    assert.deepEqual(bench.dpgQuestionScores(chain, ['yes', 'Yes', 'yes']), [1, 0, 0]);
    assert.deepEqual(bench.dpgQuestionScores([...chain].reverse(), ['yes', 'yes', 'no']), [1, 0, 0]);
  });

  it('means over pictures, then items; the levels take the last picture as answered', () => {
    const answers = [
      ['yes', 'yes', 'yes'],
      ['no', 'yes', 'yes'],
    ];
    const got = bench.dpgBench([
      { questions: chain, answers },
      { questions: chain.slice(0, 1), answers: [['yes']] },
    ]);
    assert.deepEqual(got.items[0].pictures, [1, 0]);
    near(got.score, 75);
    near(got.level2.get('entity - whole') ?? NaN, 50);
    near(got.level1.get('entity') ?? NaN, 200 / 3);
    near(got.level1.get('attribute') ?? NaN, 100);
  });

  it('refuses what cannot be scored', () => {
    assert.throws(() => bench.dpgQuestionScores(chain, ['yes']), /1 answers to 3 questions/);
    assert.throws(() => bench.dpgQuestionScores([ask(1, [7], 'x')], ['yes']), /depends on question 7/);
    assert.throws(() => bench.dpgBench([{ questions: chain, answers: [] }]), /pictures of an item/);
  });

  it('never scores more than the answers, and only yes is 1 without dependencies', () => {
    const items = fc.array(fc.record({ yes: fc.boolean(), parent: fc.nat(3) }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(items, (all) => {
        const questions = all.map(({ parent }, i) => ask(i + 1, [parent < all.length ? parent : 0], 'x'));
        const own = all.map(({ yes }) => Number(yes));
        const got = bench.dpgQuestionScores(
          questions,
          all.map(({ yes }) => (yes ? 'yes' : 'no')),
        );
        return got.every((score, i) => score <= own[i] && (questions[i].dependency[0] !== 0 || score === own[i]));
      }),
    );
  });
});

describe('WISE', () => {
  it('weighs three marks, and categories by prompt id', () => {
    near(bench.wiScore({ consistency: 2, realism: 1, aestheticQuality: 0 }), 0.8);
    assert.equal(bench.wiseCategory(567), 'TIME');
    assert.equal(bench.wiseCategory(567, 'verified'), 'SPACE');
    assert.throws(() => bench.wiseCategory(1001), /run from 1 to 1000; got 1001/);
    assert.throws(() => bench.wiseCategory(0), /got 0/);
  });

  it('has an overall only with all six categories', () => {
    const ids = [1, 450, 600, 750, 850, 950];
    const only = (id: number, version: bench.WiseVersion): number | null =>
      bench.wise(
        ids.map((promptId) => ({ promptId, score: Number(promptId === id) })),
        version,
      ).overall;
    near(only(450, 'graded'), 0.167);
    near(only(600, 'graded'), 0.133);
    near(only(950, 'graded'), 0.1);
    near(only(950, 'verified'), 0.12);
    const part = bench.wise([
      { promptId: 1, score: 1 },
      { promptId: 2, score: 0.5 },
    ]);
    assert.equal(part.overall, null);
    assert.equal(part.categories.get('CULTURE'), 0.75);
  });

  it('reads the marks of a judge', () => {
    const marks = { consistency: 2, realism: 1, aestheticQuality: 0 };
    for (const answer of ['**Consistency**: 2\nrealism 1, AESTHETIC QUALITY:0', ' 2 \n\n1\nso\n0'])
      assert.deepEqual(bench.readWiseMarks(answer), { marks, complete: true });
    assert.deepEqual(bench.readWiseMarks('**Consistency:** 2'), { marks: {}, complete: false });
    assert.deepEqual(bench.readWiseMarks('Realism: 2\nRealism: 12'), { marks: { realism: 1 }, complete: false });
    assert.deepEqual(bench.readWiseMarks('2\n1'), { marks: {}, complete: false });
  });
});

describe('UnifyBench', () => {
  it('finds the letters of an answer anywhere', () => {
    const records = [
      { truth: 'Yes.', prediction: 'Blue eyes' },
      { truth: 'Yes.', prediction: 'It is' },
      { truth: 'No.', prediction: 'I know' },
    ];
    assert.deepEqual(bench.unifyRecognition(records), { recall: 0.5, noRecall: 1, weight: 0.75, accuracy: 2 / 3 });
    assert.throws(() => bench.unifyRecognition(records.slice(0, 2)), /answer is no/);
    const choice = [
      { truth: 'A', prediction: 'All' },
      { truth: 'A', prediction: 'a' },
    ];
    assert.equal(bench.unifyChoice(choice), 0.5);
  });

  it('cuts a dense prompt at punctuation outside numbers', () => {
    assert.deepEqual(bench.denseClauses('A cat, 3.5 m tall; at 12:30... (left)!\nred-hot，湖。'), [
      ...['A cat', '3.5 m tall', 'at 12:30', '(left)', 'red-hot', '湖'],
    ]);
    assert.deepEqual(bench.denseClauses(',,, . ;'), []);
    assert.equal(bench.denseScore([1, 0, 1, 1]), 0.75);
    assert.equal(bench.denseScore([]), null);
    assert.equal(bench.denseMean([1, null, 0]), 0.5);
    assert.throws(() => bench.denseMean([null]), /prompts with clauses/);
  });
});

describe('POPE', () => {
  it('has two readings of one answer', () => {
    const both = (answer: string): string => `${bench.readPope(answer)} ${bench.readYesNo(answer)}`;
    assert.equal(both('No, there is none.'), 'no no');
    assert.equal(both('NO'), 'yes no');
    assert.equal(both('A dog. No cat.'), 'yes no');
    assert.equal(both('not sure'), 'no unknown');
    assert.equal(both('Yes.No'), 'yes unknown');
    assert.equal(both('no!'), 'yes no');
    assert.equal(both(''), 'yes unknown');
    assert.equal(bench.readYesNo('yes-or-so'), 'yes', 'a mark inside a word becomes a space');
    assert.equal(bench.readYesNo('yes-or-so, 1,000'), 'unknown', 'but goes where a number has a comma');
  });

  it('counts an unknown as wrong, and as not yes', () => {
    const got = bench.yesNoScores(['yes', 'yes', 'unknown', 'no', 'unknown'], ['yes', 'no', 'no', 'no', 'yes']);
    assert.deepEqual(got, {
      ...{ tp: 1, fp: 1, tn: 2, fn: 1 },
      ...{ accuracy: 0.4, precision: 0.5, recall: 0.5, f1: 0.5, yesRatio: 0.4 },
    });
    const none = bench.yesNoScores(['no'], ['no']);
    assert.deepEqual([none.precision, none.recall, none.f1, none.accuracy], [0, 0, 0, 1]);
    assert.throws(() => bench.yesNoScores(['no'], []), /1 readings and 0 labels/);
  });
});

describe('multiple choice', () => {
  const choices = { A: 'a red cat', B: 'two dogs', C: 'bird', D: 'none of the above' };
  const byLetter = (prediction: string): string | null => bench.choiceByLetter(prediction, choices);

  it('takes the one letter among the last four words', () => {
    assert.equal(byLetter('(B)'), 'B');
    assert.equal(byLetter('B as one sees'), 'B');
    assert.equal(byLetter('B as one sees here'), null);
    assert.equal(byLetter('A or B'), null);
    assert.equal(byLetter('b'), null);
    assert.equal(byLetter('Z'), 'Z');
    assert.equal(byLetter('Cannot determine the answer. B'), 'Z');
    assert.equal(byLetter('Failed to obtain answer via API B'), null);
  });

  it('else the letter after "answer is", even inside a word', () => {
    assert.equal(byLetter('The answer is **c**, as far as one can see'), 'C');
    assert.equal(byLetter('The answer is clear'), 'C');
    assert.equal(byLetter('The answer is E, which is not there at all'), null);
    assert.equal(bench.choiceByLetter('the answer is d', { A: 'yes', B: 'no' }), null);
  });

  it('else the one text that occurs; the rest is wrong', () => {
    assert.equal(bench.inferChoice('It is a BIRD', choices), 'C');
    assert.equal(bench.inferChoice('a bird and two dogs', choices), null);
    assert.equal(bench.choiceByText('yes it is so, I think', { A: 'yes', B: 'no' }), null, 'more than twice 5 letters');
    const records = ['B', 'two dogs', 'b', 'A'].map((prediction) => ({ prediction, answer: 'B', choices }));
    assert.equal(bench.multipleChoiceAccuracy(records), 0.5);
  });
});
