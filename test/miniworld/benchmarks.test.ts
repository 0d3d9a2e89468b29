import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { Rng, startEngine, tf } from '../../src/engine';
import { imagesToTensor } from '../../src/io';
import { evaluateMini, MINI_BENCHMARKS, type MiniItem } from '../../src/miniworld/benchmarks';
import { imageOf, PROMPTS_PER_TAG } from '../../src/miniworld/benchmarks/benchmark';
import { dpgPrompt, dpgPrompts, dpgScores } from '../../src/miniworld/benchmarks/dpg';
import { GENEVAL_TAGS, genEvalPrompts } from '../../src/miniworld/benchmarks/geneval';
import { MATH_TAGS, mathProblem, mathProblems, sceneKey } from '../../src/miniworld/benchmarks/math';
import {
  choiceAnswer,
  heldOutQuestions,
  OPEN_TAGS,
  POPE_TAGS,
  popeQuestions,
} from '../../src/miniworld/benchmarks/questions';
import { type Detections, SceneDetector } from '../../src/miniworld/detector';
import { renderScene } from '../../src/miniworld/render';
import type { Scene } from '../../src/miniworld/scene';
import { loadSprites } from '../../src/miniworld/sprites';
import { THINKING_WORDS } from '../../src/miniworld/thinking';
import { isHeldOut } from '../../src/miniworld/world';
import { loadTokenizer } from '../../src/text';
import { tinyJanus } from './tiny-janus';

before(() => startEngine({ precision: 'float32', quiet: true }));

const rng = () => new Rng(5);

/** What the detector would say: figures as "red car x,y". */
function seen(background: Detections['background'], ...figures: string[]): Detections {
  const items = figures.map((figure) => {
    const [, color, object, x, y] = /^(\w+) (\w+) (\d+),(\d+)$/.exec(figure) as RegExpExecArray;
    const own = { object, color, category: 'object', identity: null, x: Number(x), y: Number(y) };
    return { ...own, confidence: { object: 1, color: 1, identity: 0 } } as Detections['items'][number];
  });
  return { items, background, probabilities: undefined as never };
}

describe('held-out prompts', () => {
  for (const tag of GENEVAL_TAGS)
    test(`mini-geneval ${tag}: 96 distinct ones over all 12 combinations, in known words`, () => {
      const prompts = genEvalPrompts(tag, PROMPTS_PER_TAG, rng());
      assert.equal(new Set(prompts.map(({ prompt }) => prompt)).size, 96);
      assert.equal(new Set(prompts.map(({ fact }) => `${fact.color} ${fact.object}`)).size, 12);
      const tokenizer = loadTokenizer();
      for (const { prompt, fact } of prompts) {
        assert.ok(isHeldOut(fact.object, fact.color) && prompt.includes(fact.color));
        assert.ok(tokenizer.encode(prompt).length > 4);
      }
    });

  const questions = {
    ...Object.fromEntries(MATH_TAGS.map((tag) => [`mini-math ${tag}`, () => mathProblems(tag, 96, rng())])),
    ...Object.fromEntries(OPEN_TAGS.map((tag) => [`mini-open ${tag}`, () => heldOutQuestions(tag, 96, rng())])),
    ...Object.fromEntries(POPE_TAGS.map((tag) => [`mini-pope ${tag}`, () => popeQuestions(tag, 96, rng())])),
  };
  for (const [name, make] of Object.entries(questions))
    test(`${name}: 96 distinct ones, each with a held-out combination, over at least 8`, () => {
      const found = make();
      assert.equal(new Set(found.map(({ scene, question }) => `${question.problem} ${sceneKey(scene)}`)).size, 96);
      const facts = found.map(({ scene }) => scene.items.find(({ object, color }) => isHeldOut(object, color)));
      assert.ok(facts.every(Boolean));
      assert.ok(new Set(facts.map((fact) => fact?.object)).size >= 8);
    });

  test('mini-dpg: 96 distinct ones; the same generator the same, another seed others', () => {
    const texts = (seed: number) => dpgPrompts(96, new Rng(seed)).map(({ prompt }) => prompt);
    assert.equal(new Set(texts(1)).size, 96);
    assert.deepEqual(texts(1), texts(1));
    assert.notDeepEqual(texts(1), texts(2));
  });

  test('more than there are is refused', () => {
    assert.throws(() => genEvalPrompts('single_object', 109, rng()), /108 distinct prompts, 109 were asked for/);
  });
});

describe('scores', () => {
  test('mini-geneval: each tag asks for its own', () => {
    const of = (tag: (typeof GENEVAL_TAGS)[number], text: RegExp) =>
      genEvalPrompts(tag, tag === 'single_object' ? 100 : 300, rng()).find(({ prompt }) => text.test(prompt)) ??
      assert.fail(`no ${tag} with ${text}`);
    const single = of('single_object', /green car/);
    assert.ok(single.correct(seen('snow', 'red car 32,32')) && !single.correct(seen('snow', 'green boat 32,32')));
    const colors = of('colors', /green car/);
    assert.ok(colors.correct(seen('snow', 'green car 32,32')) && !colors.correct(seen('snow', 'red car 32,32')));
    const counting = of('counting', /three .* cars/);
    assert.ok(counting.correct(seen('snow', 'red car 1,1', 'green car 9,9', 'green car 9,40')));
    assert.ok(!counting.correct(seen('snow', 'green car 1,1', 'green car 9,9')));
    const position = of('position', /^a photo of an? green car left of /);
    const other = / left of an? (\w+ \w+) /.exec(position.prompt)?.[1];
    assert.ok(position.correct(seen('snow', 'green car 10,32', `${other} 50,32`)));
    assert.ok(!position.correct(seen('snow', 'green car 50,32', `${other} 10,32`)));
    const attributes = of('color_attr', /green car beside/);
    const beside = / beside an? (\w+ \w+) /.exec(attributes.prompt)?.[1] as string;
    assert.ok(attributes.correct(seen('snow', 'green car 10,32', `${beside} 50,32`)));
    assert.ok(!attributes.correct(seen('snow', 'red car 10,32', `${beside} 50,32`)));
  });

  test('mini-math: numbers are those of the scene', () => {
    for (let i = 0; i < 200; i++)
      for (const tag of MATH_TAGS) {
        const { scene, question } = mathProblem(tag, new Rng(i), i % 2 ? 'train' : 'heldout');
        const words = question.problem
          .replace(/fish/g, 'fishs')
          .split(' ')
          .map((word) => word.replace(/s$/, ''));
        const asked = scene.items.filter(({ object, color }) =>
          tag === 'counting'
            ? question.problem.includes(`${color} `) && words.includes(object)
            : words.includes(object),
        );
        assert.equal(question.solution, ['zero', 'one', 'two', 'three', 'four'][asked.length]);
        assert.equal(
          scene.items.some((item) => isHeldOut(item.object, item.color)),
          i % 2 === 0,
        );
      }
  });

  test('mini-dpg: a child without its parent counts 0', () => {
    const scene: Scene = {
      kind: 'pair',
      background: 'snow',
      items: [
        { object: 'car', color: 'green', category: 'object', x: 0, y: 16, size: 32 },
        { object: 'hat', color: 'blue', category: 'object', x: 32, y: 16, size: 32 },
      ],
    };
    const one = dpgPrompt(scene);
    assert.equal(one.prompt, 'a photo of a green car left of a blue hat in the snow');
    assert.equal(one.questions.length, 6);
    assert.deepEqual(dpgScores(one, seen('snow', 'green car 16,32', 'blue hat 48,32')), {
      ...{ score: 1, entity: 1, attribute: 1, relation: 1, global: 1 },
    });
    // No hat: neither its color nor the relation can be right. Car, its color and the snow are: 3 of 6.
    assert.deepEqual(dpgScores(one, seen('snow', 'green car 16,32')), {
      ...{ score: 0.5, entity: 0.5, attribute: 0.5, relation: 0, global: 1 },
    });
  });

  test('mini-mcq: letters are read in lower case, behind a thought, as words of the option', () => {
    assert.equal(choiceAnswer('<think> a red car </think> <answer> b </answer>'), 'B');
    assert.equal(choiceAnswer('c .'), 'C');
    assert.equal(choiceAnswer('a red car'), 'a red car');
  });
});

test('the detector finds on true images what mini-dpg and mini-geneval ask for', async () => {
  const [detector, sprites] = [await SceneDetector.load(), await loadSprites()];
  const prompts = dpgPrompts(48, rng());
  const pixels = imagesToTensor(prompts.map(({ scene }) => imageOf(renderScene(scene, sprites))));
  const scores = detector.detect(pixels).map((found, i) => dpgScores(prompts[i], found).score);
  assert.ok(scores.reduce((a, b) => a + b) / scores.length > 0.95, `${scores}`);
  pixels.dispose();
  detector.dispose();
});

describe('end to end on a tiny random Janus', () => {
  for (const [name, benchmark] of Object.entries(MINI_BENCHMARKS))
    test(name, async () => {
      const janus = tinyJanus();
      if (name === 'mini-unifybench')
        janus.addConceptTokens({ initializer: 'person', understanding: 2, generation: 1 }, rng());
      const model = name === 'mini-unifybench' ? janus : await janus.withWords(THINKING_WORDS, rng());
      const held = tf.memory().numTensors;
      const count = { 'mini-geneval': 3, 'mini-unifybench': 1 }[name] ?? 12;
      const options = {
        ...{ count, thinking: name === 'mini-open', text: { maxNewTokens: 3 } },
        samples: name === 'mini-geneval' ? 2 : 1,
      };
      const { items, metrics } = await evaluateMini(benchmark, model, rng(), options);
      assert.equal(tf.memory().numTensors, held);
      assert.deepEqual(Object.keys(metrics), [...benchmark.columns, ...(benchmark.overall ? ['overall'] : [])]);
      assert.ok(Object.values(metrics).every((value) => value >= 0 && value <= 1));
      assert.equal(new Set(items.map(({ prompt }) => prompt)).size, items.length);
      if (name !== 'mini-unifybench')
        assert.deepEqual((await evaluateMini(benchmark, model, rng(), options)).metrics, metrics);
      model.dispose();
    });

  test('tags come by turns, so that the first items are of all of them', async () => {
    const items = MINI_BENCHMARKS['mini-geneval'].items(4, rng(), await loadSprites());
    const tagOf = (item: MiniItem) => Object.keys(item.look?.(seen('snow')) ?? {})[0];
    assert.deepEqual(items.slice(0, 6).map(tagOf), [...GENEVAL_TAGS]);
    assert.equal(items.length, 24);
  });
});
