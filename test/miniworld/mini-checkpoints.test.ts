/** Janus mini and Chameleon mini as they ship, on scenes whose combinations training never showed. */
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { MINI_MODELS } from '../../src/miniworld/evaluation/mini-models';
import {
  captionOf,
  loadSprites,
  questionsOf,
  renderScene,
  sampleScene,
  type Split,
  type SpriteSheet,
} from '../../src/miniworld';
import { readValues, startEngine, Rng, tf } from '../../src/engine';
import { SceneDetector, scoreScene } from '../../src/miniworld/detector';
import { dataFolder } from '../../src/io/package-root';
import { loadModel } from '../../src/models/load';
import type { UnifiedModel } from '../../src/models/unified';

let sprites: SpriteSheet;
before(async () => {
  await startEngine({ quiet: true });
  sprites = await loadSprites();
});

/** Scenes of one kind of figure; of split `heldout`: never seen in this color. */
const scenes = (count: number, split: Split = 'heldout') =>
  Array.from({ length: count }, (_, i) => {
    const rng = new Rng(77).split(`scene ${i}`);
    return { rng, scene: sampleScene(rng, split, 'single') };
  });

/** How many of the questions of a type are answered right, and how many there are. */
function answered(model: UnifiedModel, type: string, count: number, split?: Split): [right: number, asked: number] {
  const asked = scenes(count, split).flatMap(({ scene, rng }) =>
    questionsOf(scene, rng)
      .filter((question) => question.type === type)
      .slice(0, 1)
      .map(({ problem, solution }) => ({
        parts: [{ width: 64, height: 64, rgb: renderScene(scene, sprites) }, problem],
        solution,
      })),
  );
  const requests = asked.map(({ parts }, i) => ({ prompt: model.prompt(parts, 'understand'), rng: new Rng(i) }));
  const answers = model.sampleText(requests, { temperature: 0, maxNewTokens: 8 });
  return [answers.filter(({ text }, i) => text === asked[i].solution).length, asked.length];
}

for (const name of ['janus', 'chameleon'] as const) {
  describe(MINI_MODELS[name].title, () => {
    const mini = MINI_MODELS[name];
    const folder = dataFolder('checkpoints', mini.folder);
    let model: UnifiedModel;
    before(async () => {
      model = await loadModel(folder);
    });

    test('ships in less than 20 MB', () => {
      const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => path.join(folder, file));
      const bytes = files.reduce((sum, file) => sum + (statSync(file).isFile() ? statSync(file).size : 0), 0);
      assert.ok(bytes > 5e6 && bytes < 20e6, String(bytes));
    });

    test('draws on the background that captions name', async () => {
      const asked = scenes(10);
      const requests = asked.map(({ scene, rng }) => ({
        prompt: model.prompt([captionOf(scene, rng)], 'generate'),
        rng: rng.split('picture'),
      }));
      const drawn = model.imageSampler(requests, mini.sampler).finish();
      const codes = drawn.map((segment) => segment.codes);
      const pixels = tf.tidy(() => tf.clipByValue<tf.Tensor4D>(model.imageTokenizer.decode(codes), -1, 1));
      assert.deepEqual(pixels.shape, [10, 64, 64, 3]);
      assert.ok(readValues(() => tf.clone(pixels)).every(Number.isFinite));
      const detector = await SceneDetector.load();
      const right = detector
        .detect(pixels)
        .filter((detections, i) => scoreScene(detections, asked[i].scene).background).length;
      // Drawn without a look at the caption, one in nine would be right.
      assert.ok(right >= 7, `${right} of 10 show the background that was asked for`);
      pixels.dispose();
    });

    test('answers questions about images', () => {
      const [right, all] = answered(model, 'what_colour', 20);
      assert.ok(all >= 6, String(all));
      // A sixth would be right by chance; Janus mini guesses from names more often than Chameleon mini (see its card).
      const share = name === 'janus' ? 0.35 : 0.6;
      assert.ok(right >= share * all, `${right} of ${all} colours are right`);
    });

    test('names what it has seen', () => {
      const [right, all] = answered(model, 'what', 20, 'train');
      assert.equal(all, 20);
      // 60 combinations: by chance none would be right.
      assert.ok(right >= 14, `${right} of ${all} names are right`);
    });
  });
}
