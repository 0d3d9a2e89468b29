/** How good Show-o mini is on scenes it never saw: pictures from captions, answers about pictures, facts read in context. */
import {
  captionOf,
  factExample,
  loadSprites,
  questionsOf,
  renderScene,
  sampleScene,
  type Scene,
  type Split,
} from '../../data';
import { readValues, Stream, tf } from '../../engine';
import { exactMatch } from '../../eval';
import { scoreScene, type Reading, type SceneReader } from '../../eval/reader';
import { type AnswerPrefix, sampleAnswers } from '../../models/showo/answers';
import { textPrefix, understandingPrefix } from '../../models/showo/layout';
import type { ShowoModel } from '../../models/showo/model';
import { PictureBatch, type PictureOptions } from '../../models/showo/sampler';
import { pixelsTensor } from '../../sft/train-magvit';
import type { TextTokenizer } from '../../text';
import { type Metric, type Observation, Tally } from './metrics';

export interface MiniWorldOptions {
  /** Scenes; each gives one picture, up to two questions and one fact to read. */
  readonly n: number;
  readonly seed: number;
  /** Default `heldout`: every scene has an unseen (object, colour) combination. */
  readonly split?: Split;
  readonly sampler?: PictureOptions;
  /** Told how far it is. */
  readonly progress?: (done: string) => void;
}

export interface MiniWorldResult {
  readonly metrics: Record<string, Metric>;
  /** The scenes with their captions and pictures, for a look. */
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
/** Words of the longest answer, and its end. */
const LONGEST_ANSWER = 8;

/** The whole evaluation. The reader also reads the true pictures as the tokenizer gives them back: its own ceiling. */
export async function evaluateMiniWorld(
  model: ShowoModel,
  reader: SceneReader,
  text: TextTokenizer,
  options: MiniWorldOptions,
): Promise<MiniWorldResult> {
  const sprites = await loadSprites();
  const stream = new Stream(options.seed).fork('eval mini-world');
  const split = options.split ?? 'heldout';
  const scenes = Array.from({ length: options.n }, (_, i) => {
    const own = stream.fork(`scene ${i}`);
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
    options.progress?.(`pictures ${from}/${scenes.length}`);
    const part = scenes.slice(from, from + CHUNK);
    const batch = new PictureBatch(model, part.map((s) => text.encode(s.caption)), part.map((s) => s.own.fork('picture')), options.sampler); // prettier-ignore
    const generated = readCodes(model, reader, batch.finish());
    const codes = encode(model, part.map((s) => s.real)); // prettier-ignore
    const ceiling = readCodes(model, reader, codes);
    part.forEach(({ scene, caption, real }, i) => {
      tally.addAll('', captionScores(generated.readings[i], scene, caption));
      tally.addAll('ceiling/', captionScores(ceiling.readings[i], scene, caption));
      samples.push({ scene, caption, real, generated: generated.pictures[i] });
    });
    options.progress?.(`answers ${from}/${scenes.length}`);
    const asked = part.flatMap(({ questions }, i) => {
      const types = [...new Set(questions.map((q) => q.type))].slice(0, 2);
      return types.map((type) => {
        const question = questions.find((q) => q.type === type) ?? questions[0];
        return {
          ...question,
          prefix: { ids: understandingPrefix(model.config, codes[i], text.encode(question.problem)), picture: true },
        };
      });
    });
    answersOf(model, text, asked.map((a) => a.prefix)).forEach((answer, i) => {
      const right = exactMatch(answer, asked[i].solution);
      tally.add('qa', right);
      tally.add(`qa/${asked[i].type}`, right);
    }); // prettier-ignore
    const told = part.map(({ own }) => factExample(own.fork('fact'), split));
    answersOf(model, text, told.map((fact) => ({ ids: textPrefix(model.config, text.encode(fact.problem)), picture: false }))).forEach((answer, i) => {
      tally.add('facts', exactMatch(answer, told[i].solution));
    }); // prettier-ignore
  }
  return { metrics: tally.metrics(stream), samples };
}

/** Scores for what the caption asks; a place counts only where the caption names one. */
function captionScores(reading: Reading, scene: Scene, caption: string): Record<string, Observation> {
  const { exact, position, ...score } = scoreScene(reading, scene);
  const asked = PLACES.test(caption);
  return { ...score, position: asked ? position : null, exact: exact || (!asked && withoutPlace(reading, scene)) };
}

/** Whether all but the place is right. */
function withoutPlace(reading: Reading, scene: Scene): boolean {
  return scoreScene(reading, { ...scene, kind: 'count' }).exact;
}

function encode(model: ShowoModel, pictures: readonly Uint8Array[]): Int32Array[] {
  const flat = readValues<'int32'>(() => model.images.encode(pixelsTensor(pictures, 64, 64)));
  const n = model.config.num_vq_tokens;
  return pictures.map((_, i) => flat.slice(i * n, (i + 1) * n));
}

function readCodes(
  model: ShowoModel,
  reader: SceneReader,
  codes: readonly Int32Array[],
): { readings: Reading[]; pictures: Uint8Array[] } {
  const pixels = tf.tidy(() => tf.clipByValue(model.images.decode(codes, model.grid), -1, 1));
  const bytes = readValues<'int32'>(() => tf.cast(tf.round(tf.mul(tf.add(pixels, 1), 127.5)), 'int32'));
  const size = bytes.length / codes.length;
  const readings = reader.read(pixels);
  pixels.dispose();
  return { readings, pictures: codes.map((_, i) => Uint8Array.from(bytes.subarray(i * size, (i + 1) * size))) };
}

/** Greedy answers as text. */
function answersOf(model: ShowoModel, text: TextTokenizer, prefixes: readonly AnswerPrefix[]): string[] {
  const streams = prefixes.map((_, i) => new Stream(i)); // greedy answers draw nothing
  const answers = sampleAnswers(model, prefixes, streams, { temperature: 0, maxNewTokens: LONGEST_ANSWER });
  return answers.map(({ ids }) => {
    const words = ids.filter((id) => id !== model.vocabulary.eot && id < text.vocabularySize);
    return words.length > 0 ? text.decode(words) : ''; // the tokenizer's library refuses to decode nothing
  });
}
