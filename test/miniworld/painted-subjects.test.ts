/** Animals and things in named colors: what training shows of colors apart from the objects that come in them. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  addColorAugmentation,
  captionOf,
  COLORS,
  loadSprites,
  questionsOf,
  renderScene,
  sampleScene,
  type SpriteSheet,
} from '../../src/miniworld';
import { Rng } from '../../src/engine';
import { NAMES_AND_PRESENCE, NAMES_IN_PAINT, sceneSource } from '../../src/miniworld/curricula/scenes';
import {
  addPaintedSubjects,
  canPaint,
  paintedPresence,
  paintedQuestions,
  withPaintedSubjects,
} from '../../src/miniworld/painted-subjects';
import { isHeldOut } from '../../src/miniworld/world';
import { xcotSubjects } from '../../src/miniworld/xcot-subjects';
import { loadTokenizer } from '../../src/text';

let sprites: SpriteSheet;
before(async () => {
  sprites = await loadSprites();
  await addColorAugmentation(sprites);
  await addPaintedSubjects(sprites);
});

const paintedScenes = Array.from({ length: 80 }, (_, i) => {
  const rng = new Rng(i);
  const plain = sampleScene(rng, 'train');
  return { plain, scene: canPaint(plain) ? withPaintedSubjects(plain, rng) : plain, rng };
});

test('scenes get an animal or a thing in a color where a figure stood; counted figures and lone subjects stay', () => {
  for (const { plain, scene } of paintedScenes) {
    if (!canPaint(plain)) {
      assert.match(plain.kind, /^(count|subject)$/);
      continue;
    }
    assert.deepEqual(
      scene.items.map(({ x, y, size }) => [x, y, size]),
      plain.items.map(({ x, y, size }) => [x, y, size]),
    );
    const painted = scene.items.filter(({ category, color }) => category === 'subject' && color !== null);
    assert.ok(painted.length >= 1);
    assert.equal(new Set(scene.items.map(({ object }) => object)).size, scene.items.length);
    assert.notDeepEqual(renderScene(scene, sprites), renderScene(plain, sprites));
  }
});

test('nothing that is held out is painted: neither colors of objects nor those of subjects', () => {
  const toTrainOn = new Set(xcotSubjects('train').map(({ object, color }) => `${color} ${object}`));
  for (const { scene } of paintedScenes)
    for (const { category, object, color } of scene.items) {
      assert.ok(!isHeldOut(object, color));
      if (category === 'subject' && color !== null)
        assert.ok(toTrainOn.has(`${color} ${object}`), `${color} ${object}`);
    }
});

test('captions and questions say the colors, in words that the mini world has', () => {
  const text = loadTokenizer();
  const unknown = text.idOf('[UNK]');
  let colored = 0;
  for (const { plain, scene, rng } of paintedScenes) {
    if (!canPaint(plain)) continue;
    const caption = captionOf(scene, rng);
    const questions = paintedQuestions(questionsOf(scene, rng));
    const words = [caption, ...questions.flatMap(({ problem, solution }) => [problem, solution])];
    for (const said of words) assert.ok(!text.encode(said).includes(unknown as number), said);
    if (caption.split(' ').some((word) => (COLORS as readonly string[]).includes(word))) colored++;
  }
  assert.ok(colored > 40, String(colored));
});

test('a mixture shows them as often as it says', () => {
  const text = loadTokenizer();
  const ids = new Set(xcotSubjects('train').map(({ object }) => text.idOf(object)));
  const share = (mixture: typeof NAMES_IN_PAINT) => {
    const source = sceneSource(sprites, text, 'train', {
      ...mixture,
      kinds: { count: 1, single: 1, pair: 1, ...mixture.kinds, subject: 0, 'subject+object': 0 },
    });
    const captions = Array.from({ length: 200 }, (_, i) => source.image(new Rng(i)).caption);
    return captions.filter((caption) => caption.some((id) => ids.has(id))).length / captions.length;
  };
  assert.equal(share(NAMES_AND_PRESENCE), 0);
  const seen = share(NAMES_IN_PAINT);
  assert.ok(seen > 0.2 && seen < 0.4, String(seen));
});

test('whether one is there: its own name, and one that differs in a single word and is nowhere in the scene', () => {
  const toTrainOn = new Set(xcotSubjects('train').map(({ object, color }) => `${color} ${object}`));
  let both = 0;
  for (const { plain, scene, rng } of paintedScenes) {
    const questions = paintedPresence(scene, rng);
    if (!canPaint(plain)) {
      assert.deepEqual(questions, []);
      continue;
    }
    const names = questions.map(({ problem }) => problem.replace(/^is there a (.*) \?$/, '$1'));
    const shown = scene.items.map(({ color, object }) => `${color} ${object}`);
    questions.forEach(({ solution }, q) => assert.equal(solution, shown.includes(names[q]) ? 'yes' : 'no', names[q]));
    for (let q = 0; q < names.length; q += 2) {
      const [yes, no] = [names[q].split(' '), names[q + 1].split(' ')];
      assert.equal(Number(yes[0] !== no[0]) + Number(yes[1] !== no[1]), 1, `${names[q]}, ${names[q + 1]}`);
      assert.ok(toTrainOn.has(names[q + 1]));
    }
    both += Number(questions.length === 4);
  }
  assert.ok(both > 0);
});
