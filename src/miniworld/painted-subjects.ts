/**
 * Scenes of animals and things in named colors, for training: color words are then learned apart from the few objects
 * that come in colors, and an object is drawn in a color that training never showed it in.
 */
import type { Rng } from '../engine/random';
import { loadIcon, SUBJECT_ICONS, svgDocument } from './icons';
import { shortName } from './captions';
import type { Question } from './questions';
import { recolor } from './recolor';
import { type Scene, type SceneItem, type SceneKind, SIZES } from './scene';
import { spriteKey, type SpriteSheet } from './sprites';
import { xcotSubjects } from './xcot-subjects';

/** Kind and color of what is learned from: those of the X-CoT subjects to train on, so that theirs stay held out. */
const PAINTED = xcotSubjects('train').filter(({ style }) => style === 'fluent-emoji-flat');

const styleOf = (color: string) => `painted-${color}`;

/** Adds the drawings of {@link withPaintedSubjects} to the sheet. */
export async function addPaintedSubjects(sprites: SpriteSheet): Promise<void> {
  const sizes = [...new Set<number>([SIZES.single, SIZES.pair, SIZES.subject, SIZES.objectBesideSubject])];
  await sprites.add(
    PAINTED.flatMap(({ object, color }) => {
      const icon = loadIcon('fluent-emoji-flat', SUBJECT_ICONS[object]);
      const painted = { ...icon, body: recolor(icon.body, color) };
      return sizes.map((size) => {
        const key = spriteKey({ object, color, category: 'subject', style: styleOf(color), size });
        return [key, svgDocument(painted, size), size] as const;
      });
    }),
  );
}

/** Kinds of scenes that can show them: counted figures have plurals, which animals have none of in the mini world. */
const KINDS: Readonly<Partial<Record<SceneKind, true>>> = { single: true, pair: true, 'subject+object': true };

/** Whether {@link withPaintedSubjects} fits a scene. */
export const canPaint = (scene: Scene) => KINDS[scene.kind] === true;

/** The scene with an animal or thing in a color in place of its first figure, and of the second one now and then. */
export function withPaintedSubjects(scene: Scene, rng: Rng): Scene {
  const [first, second] = rng.shuffle(
    PAINTED.filter((one, i, all) => all.findIndex((o) => o.object === one.object) === i),
  );
  const colorOf = (object: string) => rng.pick(PAINTED.filter((one) => one.object === object)).color;
  const paint = (item: SceneItem, object: SceneItem['object']): SceneItem => {
    const color = colorOf(object);
    const { x, y, size } = item;
    return { object, color, category: 'subject', x, y, size, style: styleOf(color) };
  };
  const both = scene.kind === 'pair' && rng.uniform() < 0.5;
  const where = scene.kind === 'pair' ? rng.int(2) : 0;
  const items = scene.items.map((item, i) =>
    i === where ? paint(item, first.object) : both ? paint(item, second.object) : item,
  );
  return { ...scene, items };
}

/** Questions about such a scene whose words the mini world has, and that name none of the held-out colors. */
export const paintedQuestions = (questions: readonly Question[]) =>
  questions.filter(({ type }) => type !== 'how_many' && type !== 'yes_no');

/**
 * Whether a painted animal or thing is there: yes for its own name, no for one that differs in the color or in the kind.
 * Answers then depend on both words, as they must where the two were never named together. Two a painted figure.
 */
export function paintedPresence(scene: Scene, rng: Rng): Question[] {
  const shown = new Set(scene.items.map(shortName));
  const ask = (name: string, solution: string): Question => ({
    type: 'yes_no',
    problem: `is there a ${name} ?`,
    solution,
  });
  return scene.items
    .filter(({ category, color }) => category === 'subject' && color !== null)
    .flatMap((item) => {
      const near = PAINTED.filter(
        ({ object, color }) => (object === item.object) !== (color === item.color) && !shown.has(`${color} ${object}`),
      );
      const other = rng.pick(near);
      return [ask(shortName(item), 'yes'), ask(`${other.color} ${other.object}`, 'no')];
    });
}
