/** Questions about scenes with answers of one to five words, all read from the scene's truth. */
import type { Rng } from '../engine/random';
import { plural, shortName, withArticle } from './captions';
import { hasHeldOut, placementOf, relationOf, type Scene, type SceneItem } from './scene';
import { COLORS, BACKGROUND_PHRASES, NUMBER_WORDS, OBJECTS, SUBJECT_OBJECTS, isHeldOut, type Color } from './world';

export const QUESTION_TYPES = ['what', 'how_many', 'what_colour', 'where', 'side', 'relation', 'yes_no', 'who', 'hair'] as const; // prettier-ignore
export type QuestionType = (typeof QUESTION_TYPES)[number];

/** A question, its answer, and what it asks for. */
export interface Question {
  readonly problem: string;
  readonly solution: string;
  readonly type: QuestionType;
}

/** A name that is not in the scene: another color of the same object, or another object in the same color. */
function absent(scene: Scene, item: SceneItem, rng: Rng): string {
  const present = new Set(scene.items.map(shortName));
  const candidates = [
    ...COLORS.map((color) => ({ object: item.object, color })),
    ...OBJECTS.map((object) => ({ object: object, color: item.color as Color })),
  ].filter(
    // A scene without held-out combinations may be one of split `train`, where not even a question may name one.
    (c) => !present.has(`${c.color} ${c.object}`) && (hasHeldOut(scene) || !isHeldOut(c.object, c.color)),
  );
  const { color, object } = rng.pick(candidates);
  return `${color} ${object}`;
}

/**
 * Easier questions about whether something is there, for training: about an object by its kind alone, and about names
 * of which neither the object nor the color is in the image. With the negatives of {@link questionsOf}, which differ
 * in one word, a model that sees neither word's part learns nothing from either answer.
 * @returns for each figure that is an object, two by name and one by kind; none in scenes without objects
 */
export function presenceQuestions(scene: Scene, rng: Rng): Question[] {
  const objects = scene.items.filter((item) => item.category === 'object');
  const shown = new Set(objects.map((item) => item.object));
  const colors = new Set(objects.map((item) => item.color));
  const away = OBJECTS.filter((object) => !shown.has(object)).flatMap((object) =>
    COLORS.filter((color) => !colors.has(color) && (hasHeldOut(scene) || !isHeldOut(object, color))).map(
      (color) => `${color} ${object}`,
    ),
  );
  const question = (name: string, yes: boolean): Question => ({
    type: 'yes_no',
    problem: `is there ${name} ?`,
    solution: yes ? 'yes' : 'no',
  });
  const pick = (names: readonly string[]) => rng.pick(names);
  // Figures of a `count` scene have one name: it is asked about once.
  return [...new Map(objects.map((item) => [shortName(item), item])).values()].flatMap((item) => {
    const absentKinds = OBJECTS.filter((object) => !shown.has(object));
    const kind = rng.uniform() < 0.5;
    return [
      question(`a ${shortName(item)}`, true),
      question(`a ${pick(away)}`, false),
      question(withArticle(kind ? item.object : pick(absentKinds)), kind),
    ];
  });
}

/**
 * Questions that ask for nothing but names, for training: what is in the image, and what stands at each end of it.
 * Kinds are what a model learns last, and few of the other questions' words tell it one.
 * @returns one for scenes with a single name, three for those with two
 */
export function namingQuestions(scene: Scene): Question[] {
  const name = (item: SceneItem) => withArticle(shortName(item));
  const [a, b] = scene.items;
  const ask = (problem: string, solution: string): Question => ({ type: 'what', problem, solution });
  const all = 'what is in the picture ?';
  if (scene.kind === 'count') return [ask(all, `${NUMBER_WORDS[scene.items.length]} ${a.color} ${plural(a.object)}`)];
  if (!b) return [ask(all, name(a))];
  const relation = relationOf(a, b);
  const [first, second] = relation === 'left of' || relation === 'above' ? [a, b] : [b, a];
  const across = relation === 'left of' || relation === 'right of';
  return [
    ask(all, `${name(first)} and ${name(second)}`),
    ask(`what is ${across ? 'on the left' : 'at the top'} ?`, name(first)),
    ask(`what is ${across ? 'on the right' : 'at the bottom'} ?`, name(second)),
  ];
}

/**
 * True questions of every type that fits the scene, in random order. Yes and no are equally likely.
 * @returns at least 3
 */
export function questionsOf(scene: Scene, rng: Rng): Question[] {
  const [a, b] = scene.items;
  const where = BACKGROUND_PHRASES[scene.background];
  const who = (SUBJECT_OBJECTS as readonly string[]).includes(a.object) ? 'what' : 'who';
  const out: Question[] = [];
  const ask = (type: QuestionType, problem: string, solution: string) => out.push({ type, problem, solution });
  const yesNo = (item: SceneItem) => {
    const yes = rng.uniform() < 0.5;
    ask('yes_no', `is there a ${yes ? shortName(item) : absent(scene, item, rng)} ?`, yes ? 'yes' : 'no');
  };
  const hair = (item: SceneItem) => {
    const person = item.attributes;
    if (!person) return;
    if (person.hairStyle !== 'bald') ask('hair', 'what colour is the hair ?', person.hairColor);
    ask('yes_no', 'does the person wear glasses ?', person.glasses ? 'yes' : 'no');
    ask('yes_no', 'does the person have a beard ?', person.beard ? 'yes' : 'no');
  };
  switch (scene.kind) {
    case 'single':
      ask('what', 'what is in the picture ?', withArticle(shortName(a)));
      ask('what_colour', `what colour is the ${a.object} ?`, String(a.color));
      ask('where', `where is the ${shortName(a)} ?`, where);
      ask('side', `on which side is the ${a.object} ?`, placementOf(a));
      ask('how_many', `how many ${plural(a.object)} are there ?`, 'one');
      yesNo(a);
      break;
    case 'count':
      ask('how_many', `how many ${plural(a.object)} are there ?`, NUMBER_WORDS[scene.items.length]);
      ask('how_many', `how many ${a.color} ${plural(a.object)} are there ?`, NUMBER_WORDS[scene.items.length]);
      ask('what', 'what is in the picture ?', `${NUMBER_WORDS[scene.items.length]} ${a.color} ${plural(a.object)}`);
      ask('what_colour', `what colour are the ${plural(a.object)} ?`, String(a.color));
      ask('where', `where are the ${plural(a.object)} ?`, where);
      yesNo(a);
      break;
    case 'pair':
      for (const [one, other] of [
        [a, b],
        [b, a],
      ]) {
        ask('what_colour', `what colour is the ${one.object} ?`, String(one.color));
        ask('relation', `what is ${relationOf(one, other)} the ${shortName(other)} ?`, withArticle(shortName(one)));
      }
      ask('where', `where is the ${shortName(rng.pick([a, b]))} ?`, where);
      yesNo(rng.pick([a, b]));
      break;
    case 'subject':
      ask('who', `${who} is in the picture ?`, withArticle(a.object));
      ask('where', `where is the ${a.object} ?`, where);
      ask('how_many', 'how many are there ?', 'one');
      hair(a);
      break;
    case 'subject+object':
      ask('who', `${who} is beside the ${shortName(b)} ?`, withArticle(a.object));
      ask('who', `${who} is in the picture ?`, withArticle(a.object));
      ask('relation', `what is beside the ${a.object} ?`, withArticle(shortName(b)));
      ask('relation', `what is ${relationOf(b, a)} the ${a.object} ?`, withArticle(shortName(b)));
      ask('what_colour', `what colour is the ${b.object} ?`, String(b.color));
      ask('where', `where is the ${a.object} ?`, where);
      yesNo(b);
      hair(a);
      break;
  }
  return rng.shuffle(out);
}
