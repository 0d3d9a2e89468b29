/** Questions about scenes with answers of one to five words, all read from the scene's truth. */
import type { Rng } from '../engine/random';
import { plural, shortName, withArticle } from './captions';
import { hasHeldOut, placementOf, relationOf, type Scene, type SceneItem, type SceneKind } from './scene';
import { COLORS, BACKGROUND_PHRASES, NUMBER_WORDS, OBJECTS, SUBJECT_OBJECTS, isHeldOut, type Color } from './world';

export const QUESTION_TYPES = [
  'what',
  'how_many',
  'what_colour',
  'where',
  'side',
  'relation',
  'yes_no',
  'who',
  'hair',
] as const;
export type QuestionType = (typeof QUESTION_TYPES)[number];

/** A question, its answer, and what it asks for. */
export interface Question {
  readonly problem: string;
  readonly solution: string;
  readonly type: QuestionType;
}

/** Names that are not in the scene, and differ from a figure's in the color, or in the object. */
function absentNames(scene: Scene, item: SceneItem): Record<'colors' | 'objects', string[]> {
  const present = new Set(scene.items.map(shortName));
  const nameless = (names: readonly { readonly object: SceneItem['object']; readonly color: Color }[]) =>
    names
      // A scene without held-out combinations may be one of split `train`, where not even a question may name one.
      .filter(({ object, color }) => hasHeldOut(scene) || !isHeldOut(object, color))
      .map(({ object, color }) => `${color} ${object}`)
      .filter((name) => !present.has(name));
  return {
    colors: nameless(COLORS.map((color) => ({ object: item.object, color }))),
    objects: nameless(OBJECTS.map((object) => ({ object, color: item.color as Color }))),
  };
}

/** A name that is not in the scene: another color of the same object, or another object in the same color. */
function absent(scene: Scene, item: SceneItem, rng: Rng): string {
  const { colors, objects } = absentNames(scene, item);
  return rng.pick([...colors, ...objects]);
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
 * The hardest questions about whether something is there, for training: by a figure's own name, twice, by one that differs
 * in the color, and by one that differs in the object. Asked now and then among easier ones they are never learned: "yes"
 * to whatever shares a word with the image is right more often than not.
 * @returns four for each name of an object; none in scenes without objects
 */
export function nearQuestions(scene: Scene, rng: Rng): Question[] {
  const ask = (name: string, solution: string): Question => ({
    type: 'yes_no',
    problem: `is there a ${name} ?`,
    solution,
  });
  const objects = scene.items.filter((item) => item.category === 'object');
  return [...new Map(objects.map((item) => [shortName(item), item])).values()].flatMap((item) => {
    const { colors, objects: kinds } = absentNames(scene, item);
    const own = ask(shortName(item), 'yes');
    return [own, own, ask(rng.pick(colors), 'no'), ask(rng.pick(kinds), 'no')];
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

/** Collects questions about a scene. */
class QuestionList {
  readonly questions: Question[] = [];

  constructor(
    private readonly scene: Scene,
    readonly rng: Rng,
  ) {}

  get where(): string {
    return BACKGROUND_PHRASES[this.scene.background];
  }

  /** The question word for the first figure. */
  get who(): string {
    return (SUBJECT_OBJECTS as readonly string[]).includes(this.scene.items[0].object) ? 'what' : 'who';
  }

  ask(type: QuestionType, problem: string, solution: string): void {
    this.questions.push({ type, problem, solution });
  }

  /** Asks for a figure, or for one that is not there. */
  yesNo(item: SceneItem): void {
    const yes = this.rng.uniform() < 0.5;
    const name = yes ? shortName(item) : absent(this.scene, item, this.rng);
    this.ask('yes_no', `is there a ${name} ?`, yes ? 'yes' : 'no');
  }

  hair(item: SceneItem): void {
    const person = item.attributes;
    if (!person) return;
    if (person.hairStyle !== 'bald') this.ask('hair', 'what colour is the hair ?', person.hairColor);
    this.ask('yes_no', 'does the person wear glasses ?', person.glasses ? 'yes' : 'no');
    this.ask('yes_no', 'does the person have a beard ?', person.beard ? 'yes' : 'no');
  }
}

const QUESTIONS_BY_KIND: Readonly<Record<SceneKind, (list: QuestionList, items: readonly SceneItem[]) => void>> = {
  single(list, [a]) {
    list.ask('what', 'what is in the picture ?', withArticle(shortName(a)));
    list.ask('what_colour', `what colour is the ${a.object} ?`, String(a.color));
    list.ask('where', `where is the ${shortName(a)} ?`, list.where);
    list.ask('side', `on which side is the ${a.object} ?`, placementOf(a));
    list.ask('how_many', `how many ${plural(a.object)} are there ?`, 'one');
    list.yesNo(a);
  },
  count(list, items) {
    const [a] = items;
    const number = NUMBER_WORDS[items.length];
    list.ask('how_many', `how many ${plural(a.object)} are there ?`, number);
    list.ask('how_many', `how many ${a.color} ${plural(a.object)} are there ?`, number);
    list.ask('what', 'what is in the picture ?', `${number} ${a.color} ${plural(a.object)}`);
    list.ask('what_colour', `what colour are the ${plural(a.object)} ?`, String(a.color));
    list.ask('where', `where are the ${plural(a.object)} ?`, list.where);
    list.yesNo(a);
  },
  pair(list, [a, b]) {
    const about = (one: SceneItem, other: SceneItem) => {
      list.ask('what_colour', `what colour is the ${one.object} ?`, String(one.color));
      list.ask('relation', `what is ${relationOf(one, other)} the ${shortName(other)} ?`, withArticle(shortName(one)));
    };
    about(a, b);
    about(b, a);
    list.ask('where', `where is the ${shortName(list.rng.pick([a, b]))} ?`, list.where);
    list.yesNo(list.rng.pick([a, b]));
  },
  subject(list, [a]) {
    list.ask('who', `${list.who} is in the picture ?`, withArticle(a.object));
    list.ask('where', `where is the ${a.object} ?`, list.where);
    list.ask('how_many', 'how many are there ?', 'one');
    list.hair(a);
  },
  'subject+object'(list, [a, b]) {
    list.ask('who', `${list.who} is beside the ${shortName(b)} ?`, withArticle(a.object));
    list.ask('who', `${list.who} is in the picture ?`, withArticle(a.object));
    list.ask('relation', `what is beside the ${a.object} ?`, withArticle(shortName(b)));
    list.ask('relation', `what is ${relationOf(b, a)} the ${a.object} ?`, withArticle(shortName(b)));
    list.ask('what_colour', `what colour is the ${b.object} ?`, String(b.color));
    list.ask('where', `where is the ${a.object} ?`, list.where);
    list.yesNo(b);
    list.hair(a);
  },
};

/**
 * True questions of every type that fits the scene, in random order. Yes and no are equally likely.
 * @returns at least 3
 */
export function questionsOf(scene: Scene, rng: Rng): Question[] {
  const list = new QuestionList(scene, rng);
  QUESTIONS_BY_KIND[scene.kind](list, scene.items);
  return rng.shuffle(list.questions);
}

/**
 * A question for the color of the only object with another one's name, for training: whatever it is called, its color is
 * what is seen, so that colors are not guessed from names. Any other question as it is.
 */
export function underAnyName(scene: Scene, question: Question, rng: Rng): Question {
  const names = new Set(scene.items.filter(({ color }) => color !== null).map(({ object }) => object));
  if (question.type !== 'what_colour' || names.size !== 1) return question;
  const [own] = names;
  const other = rng.pick(OBJECTS.filter((object) => object !== own));
  const words = question.problem
    .split(' ')
    .map((word) => (word === own ? other : word === plural(own) ? plural(other) : word));
  return { ...question, problem: words.join(' ') };
}
