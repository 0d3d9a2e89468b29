/** How good a mini model is on scenes it never saw: images from captions, answers about images, facts read in context. */
import { captionOf, factExample, loadSprites, questionsOf, renderScene, sampleScene, type Scene, type Split } from '..';
import { readValues, Rng, tf } from '../../engine';
import { exactMatch } from '../../eval';
import { scoreScene, type Detections, type SceneDetector } from '../detector';
import type { TextTokenizer } from '../../text';
import { type Metric, type Observation, Tally } from './metrics';
import type { Subject } from './subjects';

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
  subject: Subject,
  detector: SceneDetector,
  text: TextTokenizer,
  options: MiniWorldOptions,
): Promise<MiniWorldResult> {
  const sprites = await loadSprites();
  const rng = new Rng(options.seed).split('eval mini-world');
  const split = options.split ?? 'heldout';
  const scenes = Array.from({ length: options.n }, (_, i) => {
    const own = rng.split(`scene ${i}`);
    const scene = sampleScene(own, split);
    return {
      scene,
      caption: captionOf(scene, own),
      real: renderScene(scene, sprites),
      questions: questionsOf(scene, own),
      own,
    };
  });
  const tally = new Tally();
  const samples: Sample[] = [];
  for (let from = 0; from < scenes.length; from += CHUNK) {
    options.progress?.(`images ${from}/${scenes.length}`);
    const part = scenes.slice(from, from + CHUNK);
    const captions = part.map((s) => text.encode(s.caption));
    const rngs = part.map((s) => s.own.split('picture'));
    const generated = readImages(detector, () => subject.draw(captions, rngs));
    const ceiling = readImages(detector, () => subject.giveBack(part.map((s) => s.real)));
    part.forEach(({ scene, caption, real }, i) => {
      tally.addAll('', captionScores(generated.detections[i], scene, caption));
      tally.addAll('ceiling/', captionScores(ceiling.detections[i], scene, caption));
      samples.push({ scene, caption, real, generated: generated.images[i] });
    });
    options.progress?.(`answers ${from}/${scenes.length}`);
    const asked = part.flatMap(({ questions, real }) => {
      const types = [...new Set(questions.map((q) => q.type))].slice(0, 2);
      return types.map((type) => {
        const question = questions.find((q) => q.type === type) ?? questions[0];
        return { ...question, image: real, question: text.encode(question.problem) };
      });
    });
    subject.answerImages(asked).forEach((answer, i) => {
      const right = exactMatch(words(text, answer), asked[i].solution);
      tally.add('qa', right);
      tally.add(`qa/${asked[i].type}`, right);
    });
    const told = part.map(({ own }) => factExample(own.split('fact'), split));
    subject.answerTexts(told.map((fact) => text.encode(fact.problem))).forEach((answer, i) => {
      tally.add('facts', exactMatch(words(text, answer), told[i].solution));
    });
  }
  return { metrics: tally.metrics(rng), samples };
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
function readImages(
  detector: SceneDetector,
  draw: () => tf.Tensor4D,
): { detections: Detections[]; images: Uint8Array[] } {
  const pixels = tf.tidy(() => tf.clipByValue<tf.Tensor4D>(draw(), -1, 1));
  const bytes = readValues<'int32'>(() => tf.cast(tf.round(tf.mul(tf.add(pixels, 1), 127.5)), 'int32'));
  const count = pixels.shape[0];
  const size = bytes.length / count;
  const detections = detector.detect(pixels);
  pixels.dispose();
  const images = Array.from({ length: count }, (_, i) => Uint8Array.from(bytes.subarray(i * size, (i + 1) * size)));
  return { detections, images };
}

/** What ids say; those that are no words are left out. */
function words(text: TextTokenizer, ids: readonly number[]): string {
  const said = ids.filter((id) => id < text.vocabularySize);
  return said.length > 0 ? text.decode(said) : ''; // the tokenizer's library refuses to decode nothing
}
