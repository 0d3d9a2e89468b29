/** What the mini models are shown: scenes with captions and questions, and facts to be read, as ids. */
import { captionOf } from '../captions';
import { augmentedQuestions, canAugmentColors, withAugmentedColors, withoutColors } from '../color-augmentation';
import { factQuestions } from '../facts';
import {
  namingQuestions,
  nearQuestions,
  presenceQuestions,
  type Question,
  questionsOf,
  underAnyName,
} from '../questions';
import { withTones } from '../tones';
import { canPaint, paintedPresence, paintedQuestions, withPaintedSubjects } from '../painted-subjects';
import { renderScene } from '../render';
import { sampleKind, sampleScene, type SceneKind } from '../scene';
import type { SpriteSheet } from '../sprites';
import { COLORS, type Split } from '../world';
import type { Rng } from '../../engine';
import type { JanusSource } from './janus-task';
import { loadTokenizer, type TextTokenizer } from '../../text';
import type { Turn } from '../../nn/packed-rows';

/** Which scenes a training sees, and what is asked about them. Default: as the mini world draws them. */
export interface SceneMixture {
  /** How often each kind of scene comes, in any unit. */
  readonly kinds?: Readonly<Record<SceneKind, number>>;
  /** Whether easier questions about presence come too, see `presenceQuestions`. Default false */
  readonly presence?: boolean;
  /** Whether presence is asked for by names that differ in a word from what is there, see `nearQuestions`. Default false */
  readonly nearPresence?: boolean;
  /** Whether names are asked for, see `namingQuestions`, and presence only once. Default false */
  readonly naming?: boolean;
  /** Chance that the objects of a scene without subjects come in shades that have no name, see `inShades`. Default 0 */
  readonly colorAugmentation?: number;
  /** Chance that a scene shows an animal or a thing in a named color, see `withPaintedSubjects`. Default 0 */
  readonly paintedSubjects?: number;
  /** Whether it is asked if those are there, see `paintedPresence`. Default false */
  readonly paintedPresence?: boolean;
  /**
   * Chance that questions are about the scene with its objects in tones, see `withTones`, and color words in answers any
   * ones that are not scored; Janus alone. Default 0
   */
  readonly tones?: number;
  /** Chance that a question for the color of the only object calls it by another name, see `underAnyName`. Default 0 */
  readonly anyName?: number;
}

/** Whether something is there. */
export const PRESENCE: SceneMixture = { presence: true };

const KINDS_WITH_PEOPLE = { single: 0.22, count: 0.13, pair: 0.25, subject: 0.08, 'subject+object': 0.32 };

/** Twice as many subjects beside objects as usual, which personal concepts need. */
export const PRESENCE_AND_PEOPLE: SceneMixture = { kinds: KINDS_WITH_PEOPLE, presence: true };

export const PRESENCE_IN_HALF_AUGMENTED_COLORS: SceneMixture = {
  kinds: KINDS_WITH_PEOPLE,
  presence: true,
  colorAugmentation: 0.5,
};

export const PRESENCE_IN_SOME_AUGMENTED_COLORS: SceneMixture = {
  kinds: KINDS_WITH_PEOPLE,
  presence: true,
  colorAugmentation: 0.35,
};

/** For a model that knows colors, numbers and places, but few kinds: single objects, and their names. */
export const OBJECT_NAMES: SceneMixture = {
  kinds: { single: 0.36, count: 0.12, pair: 0.26, subject: 0.08, 'subject+object': 0.18 },
  naming: true,
  colorAugmentation: 0.35,
};

export const OBJECT_NAMES_IN_HALF_AUGMENTED_COLORS: SceneMixture = { ...OBJECT_NAMES, colorAugmentation: 0.5 };

/** Names and, besides, whether something is there. */
export const NAMES_AND_PRESENCE: SceneMixture = { ...OBJECT_NAMES, presence: true, colorAugmentation: 0.4 };

/** The same, and colors on what never has them. */
export const NAMES_IN_PAINT: SceneMixture = { ...NAMES_AND_PRESENCE, paintedSubjects: 0.35 };

/** The text vocabulary of the mini world and its begin and end tokens. */
export function miniText(): { text: TextTokenizer; bos: number; eos: number } {
  const text = loadTokenizer();
  const [bos, eos] = ['[BOS]', '[EOS]'].map((token) => text.idOf(token));
  if (bos === undefined || eos === undefined) throw new Error('the mini world tokenizer has no [BOS] or no [EOS]');
  return { text, bos, eos };
}

/** Images of scenes of a split. */
export function sceneImages(sprites: SpriteSheet, split: Split): (rng: Rng) => Uint8Array {
  return (rng) => renderScene(sampleScene(rng, split), sprites);
}

/** Captioned, questioned scenes and facts of a split, as ids. */
export function sceneSource(
  sprites: SpriteSheet,
  text: TextTokenizer,
  split: Split,
  mixture: SceneMixture = {},
): JanusSource {
  return {
    image(rng) {
      const kind = mixture.kinds && sampleKind(rng, split, mixture.kinds);
      const plain = sampleScene(rng, split, kind);
      const paint = rng.split('paint');
      const painted = canPaint(plain) && paint.uniform() < (mixture.paintedSubjects ?? 0);
      const scene = painted ? withPaintedSubjects(plain, paint) : plain;
      // Whether something is there is the hardest question: it is asked three times.
      const again = [rng.split('again'), rng.split('and again')].flatMap((s) => questionsOf(scene, s));
      const hard = mixture.naming ? namingQuestions(scene) : again.filter((q) => q.type === 'yes_no');
      const easy = mixture.presence ? presenceQuestions(scene, rng.split('presence')) : [];
      const near = mixture.nearPresence ? nearQuestions(scene, rng.split('near')) : [];
      const all = [...questionsOf(scene, rng), ...hard, ...easy, ...near];
      const names = rng.split('names');
      const inPaint = painted && mixture.paintedPresence ? paintedPresence(scene, rng.split('painted')) : [];
      const questions = [...(painted ? paintedQuestions(all) : all), ...inPaint].map((question) =>
        names.uniform() < (mixture.anyName ?? 0) ? underAnyName(scene, question, names) : question,
      );
      const caption = captionOf(scene, rng);
      const [shades, tones] = [rng.split('shades'), rng.split('tones')];
      const shaded = canAugmentColors(scene) && shades.uniform() < (mixture.colorAugmentation ?? 0);
      const toned = tones.uniform() < (mixture.tones ?? 0);
      return {
        pixels: renderScene(shaded ? withAugmentedColors(scene, shades) : scene, sprites),
        ...(toned ? { seen: renderScene(withTones(scene, tones), sprites) } : {}),
        caption: text.encode(shaded ? withoutColors(caption) : caption),
        questions:
          shaded || toned
            ? unnamedTurns(text, questions, toned ? tones : undefined)
            : questions.map((q) => turnOf(text, q)),
      };
    },
    text(rng) {
      const { facts, questions } = factQuestions(rng, split);
      return {
        text: text.encode(facts),
        questions: questions.map((q) => turnOf(text, q)),
      };
    },
  };
}

const turnOf = (text: TextTokenizer, { problem, solution }: Pick<Question, 'problem' | 'solution'>): Turn => ({
  question: text.encode(problem),
  answer: text.encode(solution),
});

/**
 * Turns about objects whose colors have no name: color words in answers are read, not scored.
 * @param anyColor draws the words that are read. Default: as they are
 */
function unnamedTurns(text: TextTokenizer, questions: readonly Question[], anyColor?: Rng): Turn[] {
  const colors = COLORS.flatMap((color) => text.encode(color));
  return augmentedQuestions(questions).map((question) => {
    const turn = turnOf(text, question);
    // The mini world's tokens are words: a word's place in the answer is its token's.
    const unscored = question.colorWords;
    const read = (word: number, at: number) => (anyColor && unscored.includes(at) ? anyColor.pick(colors) : word);
    return { ...turn, answer: turn.answer.map(read), unscored };
  });
}
