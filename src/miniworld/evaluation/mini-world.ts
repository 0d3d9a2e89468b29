/** How good a mini model is on scenes it never saw: images from captions, answers about images, facts read in context. */
import { captionOf } from '../captions';
import { factExample } from '../facts';
import { type Question, questionsOf } from '../questions';
import { renderScene } from '../render';
import { sampleScene, type Scene } from '../scene';
import { loadSprites, type SpriteSheet } from '../sprites';
import { IMAGE_SIZE, type Split } from '../world';
import { readValues, Rng, tf } from '../../engine';
import { exactMatch } from '../../eval';
import type { Image } from '../../io';
import type { ImageOptions, UnifiedModel } from '../../models/unified';
import { scoreScene, type Detections, type SceneDetector } from '../detector';
import { type Metric, type Observation, Tally } from './metrics';

export interface MiniWorldOptions {
  /** Scenes; each gives one image, up to two questions and one fact to read. */
  readonly n: number;
  readonly seed: number;
  /** Default `heldout`: every scene has an unseen (object, color) combination. */
  readonly split?: Split;
  /** Told how far it is. */
  readonly progress?: (done: string) => void;
}

export interface MiniWorldResult {
  readonly metrics: Record<string, Metric>;
  /** The scenes with their captions and images, for a look. */
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly scene: Scene;
  readonly caption: string;
  /** RGB bytes `[64, 64, 3]`. */
  readonly real: Uint8Array;
  readonly generated: Uint8Array;
}

const CHUNK = 50;
/** Phrases by which a caption says where something is. */
const PLACES = /left of|right of|above|below|in the centre|on the left|on the right|at the top|at the bottom/;

/** The whole evaluation. The detector also reads the true images as the tokenizer gives them back: its own ceiling. */
export async function evaluateMiniWorld(
  model: UnifiedModel,
  image: ImageOptions,
  detector: SceneDetector,
  options: MiniWorldOptions,
): Promise<MiniWorldResult> {
  const sprites = await loadSprites();
  const rng = new Rng(options.seed).split('eval mini-world');
  const split = options.split ?? 'heldout';
  const scenes = Array.from({ length: options.n }, (_, i) => testScene(rng.split(`scene ${i}`), split, sprites));
  const tally = new Tally();
  const samples: Sample[] = [];
  for (let from = 0; from < scenes.length; from += CHUNK) {
    options.progress?.(`images ${from}/${scenes.length}`);
    const part = scenes.slice(from, from + CHUNK);
    const requests = part.map(({ caption, own }) => ({
      prompt: model.prompt([caption], 'generate'),
      rng: own.split('picture'),
    }));
    const drawn = model.imageSampler(requests, image).finish();
    const codes = model.imageTokenizer.encode(part.map(({ real }) => imageOf(real)));
    const generated = lookAt(detector, () => model.imageTokenizer.decode(drawn.map((segment) => segment.codes)));
    const ceiling = lookAt(detector, () => model.imageTokenizer.decode(codes));
    part.forEach(({ scene, caption, real }, i) => {
      tally.addAll('', captionScores(generated.detections[i], scene, caption));
      tally.addAll('ceiling/', captionScores(ceiling.detections[i], scene, caption));
      samples.push({ scene, caption, real, generated: generated.images[i] });
    });
    options.progress?.(`answers ${from}/${scenes.length}`);
    tallyAnswers(tally, model, part, split);
  }
  return { metrics: tally.metrics(rng), samples };
}

/** A scene with all that is asked of it; `own` is its stream of random numbers. */
interface TestScene {
  readonly scene: Scene;
  readonly caption: string;
  readonly real: Uint8Array;
  readonly questions: readonly Question[];
  readonly own: Rng;
}

function testScene(own: Rng, split: Split, sprites: SpriteSheet): TestScene {
  const scene = sampleScene(own, split);
  const caption = captionOf(scene, own);
  return { scene, caption, real: renderScene(scene, sprites), questions: questionsOf(scene, own), own };
}

/** Two questions on each image, of different types, and one on a fact in the prompt. */
function tallyAnswers(tally: Tally, model: UnifiedModel, scenes: readonly TestScene[], split: Split): void {
  const questions = scenes.flatMap(({ questions, real }) => {
    const types = [...new Set(questions.map((q) => q.type))].slice(0, 2);
    return types.map((type) => {
      const question = questions.find((q) => q.type === type) ?? questions[0];
      return { ...question, parts: [imageOf(real), question.problem] };
    });
  });
  const answers = answersTo(
    model,
    questions.map(({ parts }) => parts),
  );
  for (const [i, { solution, type }] of questions.entries()) {
    const right = exactMatch(answers[i], solution);
    tally.add('qa', right);
    tally.add(`qa/${type}`, right);
  }
  const facts = scenes.map(({ own }) => factExample(own.split('fact'), split));
  const recalled = answersTo(
    model,
    facts.map(({ problem }) => [problem]),
  );
  for (const [i, { solution }] of facts.entries()) tally.add('facts', exactMatch(recalled[i], solution));
}

/** Scores for what the caption asks; a place counts only where the caption names one. */
function captionScores(detections: Detections, scene: Scene, caption: string): Record<string, Observation> {
  const { exact, position, ...score } = scoreScene(detections, scene);
  const asked = PLACES.test(caption);
  return { ...score, position: asked ? position : null, exact: exact || (!asked && withoutPlace(detections, scene)) };
}

/** Whether all but the place is right. */
function withoutPlace(detections: Detections, scene: Scene): boolean {
  return scoreScene(detections, { ...scene, kind: 'count' }).exact;
}

/** The detector on images made by `draw`, and their bytes. */
function lookAt(detector: SceneDetector, draw: () => tf.Tensor4D): { detections: Detections[]; images: Uint8Array[] } {
  const pixels = tf.tidy(() => tf.clipByValue<tf.Tensor4D>(draw(), -1, 1));
  const bytes = readValues<'int32'>(() => tf.cast(tf.round(tf.mul(tf.add(pixels, 1), 127.5)), 'int32'));
  const count = pixels.shape[0];
  const size = bytes.length / count;
  const detections = detector.detect(pixels);
  pixels.dispose();
  const images = Array.from({ length: count }, (_, i) => Uint8Array.from(bytes.subarray(i * size, (i + 1) * size)));
  return { detections, images };
}

const imageOf = (rgb: Uint8Array): Image => ({ width: IMAGE_SIZE, height: IMAGE_SIZE, rgb });

/** Words of the longest answer, and its end. */
const LONGEST_ANSWER = 8;

/** Greedy answers. */
function answersTo(model: UnifiedModel, questions: readonly (readonly (string | Image)[])[]): string[] {
  const requests = questions.map((parts, i) => ({ prompt: model.prompt(parts, 'understand'), rng: new Rng(i) }));
  const answers = model.sampleText(requests, { temperature: 0, maxNewTokens: LONGEST_ANSWER });
  return answers.map(({ text }) => text);
}
