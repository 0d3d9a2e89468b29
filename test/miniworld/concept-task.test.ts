import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ConceptFolderTask } from '../../src/data/concept-folder';
import { Rng, startEngine } from '../../src/engine';
import { conceptFacts, factText, findConcept, loadSprites } from '../../src/miniworld';
import { ConceptTask, heldOutItems } from '../../src/miniworld/concept-task';
import { writeConcepts } from '../../src/miniworld';

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
      assert.equal(new Set(items.map(({ prompt }) => prompt)).size, count);
      assert.deepEqual(items, heldOutItems(concept, count, new Rng(1)));
    }
    assert.throws(() => heldOutItems(concept, 20000, new Rng(1)), /distinct held-out prompts, 20000 were asked for/);
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

  it('names the known ones for an unknown name', async () => {
    await assert.rejects(
      ConceptFolderTask.open(scratch, 'nobody'),
      /there is no concept 'nobody'; it has luna, mira, pixel/,
    );
  });
});
