import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ConceptFolderTask, withRecall } from '../../src/data/concept-folder';
import { evaluationOf } from '../../src/data/task';
import { Rng, startEngine } from '../../src/engine';
import {
  conceptFacts,
  factText,
  findConcept,
  HELD_OUT_COMBINATIONS,
  isHeldOut,
  loadSprites,
  writeConcepts,
} from '../../src/miniworld';
import { trainingTale } from '../../src/miniworld/told-facts';
import { heldOutItems } from '../../src/miniworld/concept-evaluation';
import { ConceptTask } from '../../src/miniworld/concept-task';

let scratch: string;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  scratch = await mkdtemp(path.join(tmpdir(), 'unilab-concepts-'));
});
after(() => rm(scratch, { recursive: true }));

describe('a concept of the mini world as a task', () => {
  it('asks in both ways, the same for the same seed; held-out facts stand in no training question', async () => {
    const task = await ConceptTask.open('pixel');
    const held = conceptFacts(findConcept('pixel'), 'heldout').map((fact) => factText(fact));
    const seen = new Set<string>();
    for (let i = 0; i < 40; i++) {
      const example = task.sample(new Rng(i));
      seen.add(example.pathway);
      assert.equal(JSON.stringify(task.sample(new Rng(i))), JSON.stringify(example));
      assert.ok(example.truth.correct >= 0 && example.truth.correct < example.truth.candidates.length);
      const words = example.question.filter((part) => typeof part === 'string').join(' ');
      for (const fact of held) assert.ok(!words.includes(fact), fact);
    }
    assert.deepEqual([...seen].sort(), ['tia', 'via']);
    assert.equal(task.sample(new Rng(3), 'via').pathway, 'via');
  });

  it('has as many distinct held-out prompts as are asked for, or says how many there are', () => {
    const concept = findConcept('mira');
    for (const count of [4, 96, 192]) {
      const items = heldOutItems(concept, count, new Rng(1));
      assert.equal(new Set(items.map(({ prompt, cluster = prompt }) => cluster)).size, count);
      assert.equal(items.filter(({ question }) => question).length, count / 2);
      assert.deepEqual(items, heldOutItems(concept, count, new Rng(1)));
    }
    assert.throws(
      () => heldOutItems(concept, 20000, new Rng(1)),
      /144 distinct held-out facts .* 10000 were asked for/,
    );
  });

  it('asks for held-out facts that are told for the first time, of which one fits', () => {
    const concept = findConcept('pixel');
    const asking = heldOutItems(concept, 192, new Rng(2)).filter(({ question }) => question);
    for (const { prompt, question = '', solution = '', truth } of asking) {
      assert.ok(truth.object && isHeldOut(truth.object.object, truth.object.color), solution);
      const place = prompt.split('<sks> ')[1];
      assert.deepEqual(question.match(new RegExp(`${place} <sks> is (beside an? \\w+ \\w+) \\.`, 'g'))?.length, 1);
      assert.ok(question.includes(`${place} <sks> is ${solution} .`), question);
    }
    assert.ok(new Set(asking.map(({ solution }) => solution)).size >= 8);
  });

  it('tells training facts of its own and new ones, none of them held out', async () => {
    const task = await ConceptTask.open('pixel');
    const concept = findConcept('pixel');
    const places = conceptFacts(concept, 'train').map(({ background }) => background);
    const counts = new Set<number>();
    for (let i = 0; i < 60; i++) {
      const { facts, truth } = task.sample(new Rng(i), 'tia');
      counts.add(facts.length);
      assert.ok(facts.some((fact) => fact.endsWith(truth.candidates[truth.correct])));
      for (const fact of facts) assert.ok(!HELD_OUT_COMBINATIONS.some((c) => fact.includes(`${c.color} ${c.object}`)));
      const { asked, told } = trainingTale(concept, new Rng(i));
      assert.ok(places.includes(asked.background) && told.includes(asked) && told.length === 6);
    }
    assert.deepEqual([...counts].sort(), [4, 6]);
  });
});

describe('a concept folder as a task', () => {
  it('reads what the mini world writes, and asks as it does', async () => {
    const concepts = ['pixel', 'luna', 'mira'].map(findConcept);
    await writeConcepts(scratch, await loadSprites(), concepts);
    const task = await ConceptFolderTask.open(scratch, 'pixel', { style: 'spaced', size: [32, 32] });
    assert.deepEqual(
      [task.subject.kind, task.subject.className, task.subject.references.length, task.subject.facts.length],
      ['animal', 'dog', 8, 4],
    );
    assert.equal(task.subject.references[0].image.width, 32);
    assert.equal((await ConceptFolderTask.open(scratch, 'mira')).subject.kind, 'person');
    for (let i = 0; i < 20; i++) {
      const example = task.sample(new Rng(i));
      assert.ok(!JSON.stringify(example.truth).includes('<pixel>'));
      assert.ok(example.truth.candidates.length >= 2 || example.pathway === 'via');
      if (example.pathway === 'tia') assert.match(example.prompt, /<sks>/);
    }
  });

  it('rec is the mean of positive and negative recall, however many of each there are', () => {
    const item = (prompt: string, metric: string, right: number) => ({ prompt, scores: { [metric]: right } });
    const yes = [1, 1, 1, 0].map((right, i) => item(`yes ${i}`, 'rec/yes', right));
    const no = [item('no', 'rec/no', 0)];
    const vqa = item('what', 'vqa', 1);
    const { rec, vqa: answered } = evaluationOf(withRecall([...yes, ...no, vqa])).metrics;
    assert.deepEqual([rec, answered], [(0.75 + 0) / 2, 1]);
    assert.equal(evaluationOf(withRecall(yes)).metrics.rec, 0.75);
    assert.equal('rec' in evaluationOf(withRecall([vqa])).metrics, false);
  });

  it('names the known ones for an unknown name', async () => {
    await assert.rejects(
      ConceptFolderTask.open(scratch, 'nobody'),
      /there is no concept 'nobody'; it has luna, mira, pixel/,
    );
  });
});
