import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Rng } from '../../src/engine/random';
import { readImage } from '../../src/io';
import { readConcept, readX2xRft } from '../../src/data';
import { readUnifyQuestions } from '../../src/data/unify-bench';
import { loadItemImage } from '../../src/data/item-images';
import { collectItems } from '../../src/data/items';
import {
  BACKGROUND_PHRASES,
  CONCEPT_IDENTITIES,
  conceptFacts,
  conceptPrompts,
  conceptReferences,
  CONCEPTS,
  contactSheet,
  findConcept,
  genericPerson,
  isHeldOut,
  loadSprites,
  PEOPLE_POOL,
  renderConcept,
  SCENIC_BACKGROUNDS,
  type SpriteSheet,
  tiaExamples,
  viaExamples,
  writeConcepts,
  writeScenes,
} from '../../src/miniworld';
import { loadTokenizer } from '../../src/text';

let sprites: SpriteSheet;
let folder: string;
before(async () => {
  sprites = await loadSprites();
  folder = mkdtempSync(path.join(tmpdir(), 'unilab-concepts-'));
});
after(() => rmSync(folder, { recursive: true }));

const splits = ['train', 'heldout'] as const;

describe('concepts', () => {
  it('are twenty: ten people, five animals, five things, each with a fact for every scenic background', () => {
    const kinds = CONCEPTS.map((c) => c.kind);
    assert.deepEqual(
      ['person', 'animal', 'object'].map((k) => kinds.filter((x) => x === k).length),
      [10, 5, 5],
    );
    assert.equal(new Set(CONCEPTS.map((c) => c.name)).size, 20);
    for (const concept of CONCEPTS) {
      assert.deepEqual(new Set(concept.facts.map((f) => f.background)), new Set(SCENIC_BACKGROUNDS));
      assert.equal(new Set(concept.facts.map((f) => f.object)).size, 6);
      assert.ok(concept.facts.every((f) => !isHeldOut(f.object, f.color)));
      assert.deepEqual([...conceptFacts(concept, 'train'), ...conceptFacts(concept, 'heldout')], concept.facts);
    }
    assert.throws(() => findConcept('nobody'), /'nobody'.*mira.*tick/);
  });

  it('no generic person is one of the ten', () => {
    const key = (p: object) =>
      JSON.stringify(
        Object.entries(p)
          .filter(([k]) => ['hairStyle', 'hairColor', 'skin', 'glasses', 'beard'].includes(k))
          .sort(),
      );
    const taken = new Set(Object.values(CONCEPT_IDENTITIES).map(key));
    assert.equal(taken.size, 10);
    for (let i = 0; i < PEOPLE_POOL; i++) assert.ok(!taken.has(key(genericPerson(i))));
  });

  it('same options, same pixels; identity stays, clothes and background vary', () => {
    const mira = findConcept('mira');
    const object = { object: 'cup', color: 'red' } as const;
    const draw = (seed: number) => renderConcept(mira, { background: 'rain', object, rng: new Rng(seed) }, sprites);
    assert.deepEqual(draw(4), draw(4));
    const views = Array.from({ length: 8 }, (_, seed) => draw(seed));
    for (const { scene } of views) {
      const [self, beside] = scene.items;
      for (const [k, v] of Object.entries(CONCEPT_IDENTITIES.mira)) assert.equal(self.attributes?.[k as 'skin'], v);
      assert.equal(`${beside.color} ${beside.object}`, 'red cup');
      assert.equal(scene.background, 'rain');
    }
    assert.ok(new Set(views.map((v) => v.scene.items[0].attributes?.clothesColor)).size > 1);
    assert.throws(() => renderConcept(mira, { background: 'rain', view: 16, rng: new Rng(1) }, sprites), /0 to 15/);
  });

  it('training and held-out references share no image and no object beside it; none shows such an object on a scenic background', () => {
    for (const concept of CONCEPTS) {
      const [train, heldout] = splits.map((split) => conceptReferences(concept, split, sprites));
      assert.deepEqual([train.length, heldout.length], [8, 8]);
      const digest = (p: { pixels: Uint8Array }) => Buffer.from(p.pixels).toString('base64');
      assert.equal(new Set([...train, ...heldout].map(digest)).size, 16, concept.name);
      const beside = (list: typeof train) =>
        list.flatMap((p) => p.scene.items.slice(1).map((s) => `${s.color} ${s.object}`));
      assert.equal(new Set([...beside(train), ...beside(heldout)]).size, 8);
      for (const { scene } of [...train, ...heldout]) {
        if (scene.items.length > 1) assert.ok(!SCENIC_BACKGROUNDS.some((g) => g === scene.background));
      }
    }
  });

  it('examples: true, in the vocabulary, and the facts for testing never asked for in training', () => {
    const tokenizer = loadTokenizer();
    for (const concept of CONCEPTS) {
      for (const split of splits) {
        for (const e of viaExamples(concept, split, sprites)) {
          for (const text of [e.problem, e.solution, e.statement, e.image.caption]) tokenizer.encode(text);
          const [, object] = e.image.scene.items;
          if (e.problem === 'what is beside <sks> ?') assert.equal(e.solution, `a ${object.color} ${object.object}`);
          if (e.problem === 'where is <sks> ?') assert.equal(e.solution, BACKGROUND_PHRASES[e.image.scene.background]);
        }
        const examples = tiaExamples(concept, split, new Rng(1));
        assert.equal(examples.length, split === 'train' ? 8 : 4);
        for (const e of examples) {
          for (const text of [e.problem, e.solution, e.compound, e.explicit]) tokenizer.encode(text);
          const fact = concept.facts.find((f) => e.prompt.endsWith(BACKGROUND_PHRASES[f.background]));
          assert.equal(e.solution, `beside a ${fact?.color} ${fact?.object}`);
          assert.equal(e.candidates[e.correct], e.solution);
          assert.ok(e.problem.includes(`${BACKGROUND_PHRASES[e.truth.background]} <sks> is ${e.solution} .`));
        }
        const testing = conceptFacts(concept, 'heldout').map((f) => f.background as string);
        for (const { prompt, truth } of conceptPrompts(concept, split, 64, new Rng(2))) {
          tokenizer.encode(prompt);
          if (split === 'train') assert.ok(!testing.includes(truth.background));
          if (truth.object) assert.equal(isHeldOut(truth.object.object, truth.object.color), split === 'heldout');
        }
      }
    }
  });
});

describe('concept files', () => {
  const root = () => path.join(folder, 'concepts');
  const rewrite = (file: string, change: (json: Record<string, unknown>) => void) => {
    const json = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    change(json);
    writeFileSync(file, JSON.stringify(json));
  };
  before(async () => {
    await writeConcepts(root(), sprites, [findConcept('mira'), findConcept('bolt'), findConcept('pixel')]);
  });

  it('come back as written', async () => {
    const mira = readConcept(root(), 'mira');
    assert.equal(mira.info.class, 'person');
    assert.equal(mira.info.generation_type, 'live_subject');
    assert.equal(mira.info.num_testing_info, 2);
    assert.equal(mira.info.extra_info.length, 6);
    assert.ok(mira.info.extra_info.every((fact) => fact.includes('<mira> is beside a')));
    assert.deepEqual([mira.trainImages.length, mira.testImages.length], [8, 8]);
    assert.deepEqual(
      Object.keys(mira.conversations),
      mira.trainImages.map((file) => path.basename(file)),
    );
    const rec = mira.testData.filter((item) => item.type === 'rec').map((item) => item.conversations[1].value);
    assert.equal(rec.filter((answer) => answer === 'Yes.').length, 8, "as UnifyBench's rule reads them");
    assert.equal(rec.filter((answer) => answer === 'No.').length, 8);
    const { items, errors } = await collectItems(readUnifyQuestions(root()));
    assert.deepEqual([items.length > 0, errors], [true, []], 'no question comes twice');
    const driven = mira.conditions.personalized_driven_generation;
    assert.ok(
      driven.every((prompt, i) => mira.info.extra_info[i].startsWith(prompt.slice('a photo of <mira> '.length))),
    );
    const { rgb } = await readImage(mira.trainImages[2]);
    assert.deepEqual(rgb, conceptReferences(findConcept('mira'), 'train', sprites)[2].pixels);
  });

  it('errors name the known concepts, the file and the field', () => {
    assert.throws(() => readConcept(root(), 'nobody'), /'nobody'.*bolt, mira, pixel/);
    assert.throws(() => readConcept(path.join(folder, 'empty'), 'mira'), /concept\/train/);
    const bolt = (...parts: string[]) => path.join(root(), 'concept', ...parts);
    rewrite(bolt('train', 'bolt', 'info.json'), (json) => delete json.extra_info);
    assert.throws(
      () => readConcept(root(), 'bolt'),
      /bolt\/info\.json: field 'num_testing_info'.*0 to 0, the number of facts/,
    );
    rewrite(bolt('train', 'bolt', 'info.json'), (json) =>
      Object.assign(json, { extra_info: ['a'], num_testing_info: 2 }),
    );
    assert.throws(() => readConcept(root(), 'bolt'), /info\.json: field 'num_testing_info'.*0 to 1/);
    rewrite(bolt('train', 'bolt', 'info.json'), (json) => Object.assign(json, { num_testing_info: 1 }));
    rewrite(bolt('test', 'bolt', 't2i_conditions.json'), (json) => (json.personalized_driven_generation = ['one']));
    assert.throws(
      () => readConcept(root(), 'bolt'),
      /t2i_conditions\.json: field 'explicit_personalized_driven_generation'/,
    );
    writeFileSync(bolt('train', 'pixel', 'conversations.json'), '{"0.png": [{"query": "where"}]}');
    assert.throws(() => readConcept(root(), 'pixel'), /conversations\.json: field '0\.png\[0\]\.answer'/);
    writeFileSync(bolt('train', 'pixel', 'conversations.json'), '{"0.png": [');
    assert.throws(() => readConcept(root(), 'pixel'), /conversations\.json: not valid JSON/);
    unlinkSync(bolt('train', 'pixel', 'conversations.json'));
    assert.throws(() => readConcept(root(), 'pixel'), /conversations\.json: the file is missing/);
  });
});

describe("files with CoRL's fields", () => {
  it('come back as written, and errors name line and field', async () => {
    const out = path.join(folder, 'scenes');
    const file = await writeScenes(out, sprites, { count: 6, split: 'heldout', seed: 9 });
    const { items } = await collectItems(readX2xRft(file));
    assert.equal(items.length, 6);
    const again = await writeScenes(path.join(folder, 'scenes2'), sprites, { count: 6, split: 'heldout', seed: 9 });
    assert.equal(readFileSync(again, 'utf8'), readFileSync(file, 'utf8'));
    for (const { realImage } of items) assert.equal((await loadItemImage(realImage)).width, 64);
    const lines = readFileSync(file, 'utf8').split('\n');
    lines[2] = JSON.stringify({ ...(JSON.parse(lines[2]) as object), qa_type: 3 });
    writeFileSync(file, lines.join('\n'));
    const { items: left, errors } = await collectItems(readX2xRft(file));
    assert.equal(left.length, 5);
    assert.match(errors[0].message, /data\.jsonl, line 3: field 'qa_type'/);
    await assert.rejects(writeScenes(out, sprites, { count: 0, split: 'train', seed: 1 }), /positive integer/);
  });
});

describe('contact sheet', () => {
  it('is the same for the same seed and shows forty images', async () => {
    const a = await contactSheet(3, sprites);
    assert.equal(a.captions.length, 40);
    assert.ok(a.png.equals((await contactSheet(3, sprites)).png));
    assert.ok(!a.png.equals((await contactSheet(4, sprites)).png));
  });
});
