import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Rng } from '../../src/engine/random';
import {
  COLORS,
  factExample,
  factQuestions,
  BACKGROUND_PHRASES,
  BACKGROUNDS,
  HELD_OUT_COMBINATIONS,
  hasHeldOut,
  isHeldOut,
  namingQuestions,
  NUMBER_WORDS,
  OBJECTS,
  plural,
  questionsOf,
  relationOf,
  sampleScene,
  captionOf,
  SCENE_KINDS,
  shortName,
  type Scene,
} from '../../src/miniworld';
import { loadTokenizer } from '../../src/text';

const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });

/** Every "color object" that a text names, plural too. */
function combinationsIn(text: string): string[] {
  const names = new Map<string, string>(
    OBJECTS.flatMap((o) => [
      [o, o],
      [plural(o), o],
    ]),
  );
  const words = text.split(' ');
  return words.flatMap((word, i) => {
    const object = names.get(words[i + 1]);
    return (COLORS as readonly string[]).includes(word) && object ? [`${word} ${object}`] : [];
  });
}

const forbidden = new Set(HELD_OUT_COMBINATIONS.map((c) => `${c.color} ${c.object}`));

describe('scenes', () => {
  it('hold out every object once and every colour twice, and leave most of both to train', () => {
    assert.equal(forbidden.size, 12);
    for (const object of OBJECTS) assert.equal(HELD_OUT_COMBINATIONS.filter((c) => c.object === object).length, 1);
    for (const color of COLORS) assert.equal(HELD_OUT_COMBINATIONS.filter((c) => c.color === color).length, 2);
  });

  it('train: no held-out combination in scene, caption, question, answer or fact', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const rng = new Rng(seed);
        const scene = sampleScene(rng, 'train');
        assert.ok(!hasHeldOut(scene));
        const { problem, solution } = factExample(rng, 'train');
        const list = factQuestions(rng, 'train');
        const texts = [captionOf(scene, rng), problem, solution, list.facts];
        for (const q of list.questions) texts.push(q.solution);
        for (const q of questionsOf(scene, rng)) texts.push(q.problem, q.solution);
        for (const text of texts) for (const c of combinationsIn(text)) assert.ok(!forbidden.has(c), text);
      }),
      { numRuns: 500 },
    );
  });

  it('heldout: at least one held-out combination in every scene of every kind, and in the fact asked for', () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(...SCENE_KINDS.filter((k) => k !== 'subject')), (seed, kind) => {
        const rng = new Rng(seed);
        assert.ok(hasHeldOut(sampleScene(rng, 'heldout', kind)));
        assert.ok(hasHeldOut(sampleScene(rng, 'heldout')));
        const { asked } = factExample(rng, 'heldout');
        assert.ok(isHeldOut(asked.object, asked.color));
      }),
      { numRuns: 300 },
    );
    assert.throws(() => sampleScene(new Rng(1), 'heldout', 'subject'), /no.*|subject/);
  });

  it('keep figures on the cells of the code grid, inside the image, and apart', () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(...SCENE_KINDS), (seed, kind) => {
        const { items } = sampleScene(new Rng(seed), 'train', kind);
        for (const { x, y, size } of items) {
          for (const v of [x, y, size]) assert.equal(v % 8, 0);
          assert.ok(x >= 0 && y >= 0 && x + size <= 64 && y + size <= 64, `${kind} ${x} ${y} ${size}`);
        }
        for (const [i, a] of items.entries()) {
          for (const b of items.slice(i + 1)) {
            const apart = a.x + a.size <= b.x || b.x + b.size <= a.x || a.y + a.size <= b.y || b.y + b.size <= a.y;
            assert.ok(apart, `${kind}: ${JSON.stringify([a, b])}`);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** Checks a caption against the scene by reading it back. */
function checkCaption(caption: string, scene: Scene): void {
  const [a, b] = scene.items;
  const phrase = BACKGROUND_PHRASES[scene.background];
  assert.equal(caption.split(phrase).length, 2, caption);
  for (const other of BACKGROUNDS.filter((g) => g !== scene.background))
    assert.ok(!caption.includes(BACKGROUND_PHRASES[other]));
  assert.ok(caption.split(' ').length <= 26, caption);
  const body = caption.replace(phrase, '').replace(/^a (photo|picture) of /, '');
  const truth = new Set(scene.items.flatMap((item) => (item.color ? [shortName(item)] : [])));
  assert.deepEqual(new Set(combinationsIn(caption)), truth, caption);
  if (scene.kind === 'count') assert.equal(body.split(' ')[0], NUMBER_WORDS[scene.items.length]);
  const relation = / (left of|right of|above|below) /.exec(body);
  if (relation) {
    const first = body.slice(0, relation.index);
    const aFirst = a.color ? first.endsWith(shortName(a)) : !(b.color && first.endsWith(shortName(b)));
    const [one, other] = aFirst ? [a, b] : [b, a];
    assert.equal(relation[1], relationOf(one, other), caption);
  }
  for (const item of scene.items) {
    const person = item.attributes;
    if (!person || !/hair|bun|bald/.test(body)) continue;
    assert.equal(body.includes('glasses'), person.glasses, caption);
    assert.equal(body.includes('beard'), person.beard, caption);
    assert.ok(body.includes(person.hairStyle), caption);
  }
}

describe('captions and questions', () => {
  it('say what the scene holds', () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom('train' as const, 'heldout' as const), (seed, split) => {
        const rng = new Rng(seed);
        const scene = sampleScene(rng, split);
        checkCaption(captionOf(scene, rng), scene);
      }),
      { numRuns: 500 },
    );
  });

  it('answer truly', () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom('train' as const, 'heldout' as const), (seed, split) => {
        const rng = new Rng(seed);
        const scene = sampleScene(rng, split);
        const names = scene.items.map(shortName);
        const questions = questionsOf(scene, rng);
        assert.ok(questions.length >= 3);
        for (const { type, problem, solution } of questions) {
          assert.ok(solution.split(' ').length <= 4, solution);
          const asked = combinationsIn(problem);
          if (type === 'where') assert.equal(solution, BACKGROUND_PHRASES[scene.background]);
          if (type === 'yes_no' && asked.length) assert.equal(solution, names.includes(asked[0]) ? 'yes' : 'no');
          if (type === 'how_many') assert.equal(solution, NUMBER_WORDS[scene.items.length]);
          if (type === 'relation') {
            const other = scene.items.find((item) => problem.endsWith(`the ${shortName(item)} ?`));
            const one = scene.items.find((item) => solution.endsWith(shortName(item)));
            assert.ok(one && other && one !== other, problem);
            const word = /^what is (left of|right of|above|below|beside) /.exec(problem)?.[1];
            if (word !== 'beside') assert.equal(word, relationOf(one, other));
          }
          if (type === 'what_colour') {
            const item = scene.items.find((i) => problem.includes(` ${i.object}`));
            assert.equal(solution, item?.color);
          }
          if (type === 'who') assert.ok(solution.endsWith(scene.items[0].object));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('asks yes and no about equally often', () => {
    const rng = new Rng(5);
    let yes = 0;
    const n = 2000;
    for (let i = 0; i < n; i++) {
      const q = questionsOf(sampleScene(rng, 'train', 'single'), rng).find((x) => x.type === 'yes_no');
      if (q?.solution === 'yes') yes++;
    }
    assert.ok(Math.abs(yes / n - 0.5) < 0.05, `${yes} of ${n}`);
  });

  it('lists of facts: every question names one background, and its answer is that fact and no other', () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom('train' as const, 'heldout' as const), (seed, split) => {
        const { facts, questions } = factQuestions(new Rng(seed), split);
        const told = facts
          .replace('facts : ', '')
          .split(' .')
          .map((fact) => fact.trim())
          .filter(Boolean);
        assert.ok(told.length >= 1 && told.length <= 6);
        assert.equal(questions.length, told.length);
        for (const { problem, solution } of questions) {
          const fitting = told.filter((fact) => problem.includes(fact.slice(0, fact.indexOf(' <sks>'))));
          assert.equal(fitting.length, 1, `${problem} / ${facts}`);
          assert.ok(fitting[0].endsWith(`<sks> is ${solution}`), `${solution} / ${fitting[0]}`);
        }
        assert.equal(
          split === 'heldout',
          combinationsIn(facts).some((c) => forbidden.has(c)),
        );
      }),
      { numRuns: 200 },
    );
  });

  it('stay within the vocabulary', () => {
    const tokenizer = loadTokenizer();
    const rng = new Rng(11);
    for (let i = 0; i < 1000; i++) {
      const split = i % 2 ? 'train' : 'heldout';
      const scene = sampleScene(rng, split);
      const fact = factExample(rng, split);
      const texts = [captionOf(scene, rng), fact.problem, fact.solution];
      for (const q of [...questionsOf(scene, rng), ...namingQuestions(scene)]) texts.push(q.problem, q.solution);
      for (const text of texts) assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    }
  });
});
