import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  attributeExample,
  attributeQuestion,
  compoundPrompt,
  inClassWords,
  type Subject,
  visualExample,
} from '../../src/data/personalization';
import { evaluationOf } from '../../src/data/task';
import { Rng } from '../../src/engine';

const image = { width: 1, height: 1, rgb: new Uint8Array(3) };
const reference = {
  image,
  caption: 'a photo of <sks>',
  questions: [{ question: 'what color is <sks> ?', answer: 'blue' }],
};
const subject: Subject = {
  name: 'pixel',
  kind: 'animal',
  className: 'dog',
  references: [reference],
  facts: ['<sks> has a hat in the rain', '<sks> has a ball in the snow'],
  style: 'plain',
};

describe('texts of personalization', () => {
  it('worked example: question, compound prompt, class words', () => {
    assert.equal(
      attributeQuestion(['<sks> has a hat', '<sks> has a ball'], 'a photo of <sks>', 'plain'),
      'facts: <sks> has a hat. <sks> has a ball. question: a photo of <sks> answer:',
    );
    assert.equal(
      attributeQuestion(['<sks> has a hat'], 'a photo of <sks>', 'spaced'),
      'facts : <sks> has a hat . question : a photo of <sks> answer :',
    );
    assert.equal(compoundPrompt('a photo of <sks>', 'red', 'plain'), 'a photo of <sks>. <sks> is red');
    assert.equal(inClassWords('dog', 'a photo of <sks>. <sks> is red'), 'a photo of a dog. the dog is red');
    assert.equal(inClassWords('owl', '<sks> here'), 'an owl here');
  });

  it('an answer stands in the prompt as it was given, whatever it holds', () => {
    for (const answer of ["$& or $'", '$1', '\\', '', '<sks>', '$$'])
      assert.equal(compoundPrompt('a photo of <sks>', answer, 'plain'), `a photo of <sks>. <sks> is ${answer}`);
  });

  it('TIA: the fact that fits is the right one; the whole group shares the question', () => {
    const example = attributeExample(subject, {
      id: 'x',
      prompt: 'a photo of <sks> in the snow',
      facts: subject.facts,
      truth: { candidates: subject.facts, correct: 1 },
    });
    assert.equal(example.pathway, 'tia');
    assert.equal(example.truth.candidates[example.truth.correct], '<sks> has a ball in the snow');
    assert.deepEqual(example.question, [attributeQuestion(subject.facts, 'a photo of <sks> in the snow', 'plain')]);
    assert.equal(example.compoundPrompt('a cat'), 'a photo of <sks> in the snow. <sks> is a cat');
  });

  it('VIA: the compound prompt is "a photo of <sks>. <sks> is (IR)"; wrong answers are those of others, three at most', () => {
    const [asked] = reference.questions;
    const wrong = ['red', 'green', 'red', 'blue', 'pink', 'gray'];
    const truthOf = (truth: { candidates: readonly string[]; correct: number }) => truth;
    const example = visualExample(subject, reference, asked, wrong, new Rng(1), truthOf);
    assert.equal(example.compoundPrompt('red'), 'a photo of <sks>. <sks> is red');
    assert.equal(example.truth.candidates.length, 4);
    assert.equal(new Set(example.truth.candidates).size, 4);
    assert.equal(example.truth.candidates[example.truth.correct], 'blue');
    assert.deepEqual(example.question, [image, 'what color is <sks> ?']);
  });

  it('an evaluation is the mean over the items that have a metric', () => {
    const { metrics } = evaluationOf([
      { prompt: 'a', scores: { x: 1, y: 4 } },
      { prompt: 'b', scores: { x: 0 } },
    ]);
    assert.deepEqual(metrics, { x: 0.5, y: 4 });
  });
});
