/** The twenty concepts: ten people, five animals and five things, each a particular one with facts of its own. */
import { Rng } from '../engine/random';
import { withArticle } from './captions';
import { factText, type Fact } from './facts';
import { loadIcon, SUBJECT_ICONS, svgDocument } from './icons';
import {
  CONCEPT_IDENTITIES,
  describePerson,
  type Identity,
  type PersonArtist,
  type PersonAttributes,
  sampleAppearance,
} from './people';
import { tint } from './recolor';
import { SIZES } from './scene';
import {
  type AnimalName,
  ART_STYLES,
  type ArtStyle,
  type Color,
  OBJECTS,
  SCENIC_BACKGROUNDS,
  type SubjectName,
  type SubjectObjectName,
  TRAIN_COMBINATIONS,
} from './world';

/** A person, animal or thing that <sks> stands for. */
export interface Concept {
  /** lower case, a word of the vocabulary */
  readonly name: string;
  readonly kind: 'person' | 'animal' | 'object';
  /** class word: `person`, `dog`, ... */
  readonly class: SubjectName;
  /** people: what all their images share */
  readonly identity?: Identity;
  /** animals and things: the unusual color that all their images share */
  readonly color?: Color;
  /** "a person with long red hair and glasses", "a blue dog" */
  readonly description: string;
  /** six, one for each scenic background; the last {@link Concept.testingFacts} are for testing: training never asks for their backgrounds */
  readonly facts: readonly Fact[];
  readonly testingFacts: number;
}

/** Different images that a concept can be drawn from; the first half are for training, the others held out. */
export const CONCEPT_VIEWS = 16;

const TESTING_FACTS = 2;

const RECOLORED_CONCEPTS: readonly (readonly [
  name: string,
  subject: AnimalName | SubjectObjectName,
  kind: 'animal' | 'object',
  color: Color,
])[] = [
  ['pixel', 'dog', 'animal', 'blue'],
  ['luna', 'cat', 'animal', 'purple'],
  ['rusty', 'rabbit', 'animal', 'red'],
  ['momo', 'fox', 'animal', 'pink'],
  ['hoot', 'owl', 'animal', 'green'],
  ['brew', 'teapot', 'object', 'green'],
  ['strum', 'guitar', 'object', 'purple'],
  ['trek', 'backpack', 'object', 'blue'],
  ['bolt', 'robot', 'object', 'yellow'],
  ['tick', 'clock', 'object', 'pink'],
];

/** Hue in degrees of a concept's color. */
export const HUES: Readonly<Record<Color, number>> = {
  red: 4,
  yellow: 46,
  green: 130,
  blue: 215,
  purple: 275,
  pink: 325,
};

/** Subjects whose natural color is gray, and icons that are line drawings in black, gray and white. */
const GRAY_SUBJECTS: ReadonlySet<string> = new Set(['rabbit', 'robot']);
const LINE_DRAWINGS: ReadonlySet<string> = new Set(
  ['rabbit', 'owl', 'teapot', 'clock', 'robot'].map((c) => `openmoji/${c}`),
);

/** Six facts about six different objects; the order, and so which ones are for testing, is the concept's own. */
function factsOf(name: string): Fact[] {
  const rng = new Rng(777).split('facts').split(name);
  const objects = rng.shuffle(OBJECTS);
  return rng.shuffle(SCENIC_BACKGROUNDS).map((background, i) => ({
    background,
    ...rng.pick(TRAIN_COMBINATIONS.filter((c) => c.object === objects[i])),
  }));
}

/** All of them: people first, then animals, then things. */
export const CONCEPTS: readonly Concept[] = [
  ...Object.entries(CONCEPT_IDENTITIES).map(([name, identity]): Concept => ({
    name,
    kind: 'person',
    class: 'person',
    identity,
    description: describePerson(identity),
    facts: factsOf(name),
    testingFacts: TESTING_FACTS,
  })),
  ...RECOLORED_CONCEPTS.map(([name, subject, kind, color]): Concept => ({
    name,
    kind,
    class: subject,
    color,
    description: withArticle(`${color} ${subject}`),
    facts: factsOf(name),
    testingFacts: TESTING_FACTS,
  })),
];

/** The concept of that name. @throws Error listing the known names */
export function findConcept(name: string): Concept {
  const concept = CONCEPTS.find((c) => c.name === name);
  if (!concept) {
    throw new Error(`there is no concept '${name}'; the mini world has ${CONCEPTS.map((c) => c.name).join(', ')}`);
  }
  return concept;
}

/** The concept's facts that training may ask for (`train`, the first four) or the held-out ones (`heldout`, the last two). */
export function conceptFacts(concept: Concept, split: 'train' | 'heldout'): readonly Fact[] {
  const cut = concept.facts.length - concept.testingFacts;
  return split === 'train' ? concept.facts.slice(0, cut) : concept.facts.slice(cut);
}

/** The facts as sentences: "in the rain <sks> is beside a red umbrella". */
export const conceptFactTexts = (concept: Concept, subject = '<sks>') => concept.facts.map((f) => factText(f, subject));

/** A person's looks in one view: the identity with clothes and expression of that view. */
export function conceptAppearance(concept: Concept, view: number): PersonAttributes | undefined {
  if (!concept.identity) return undefined;
  return { ...concept.identity, ...sampleAppearance(new Rng(778).split(concept.name).split(view)) };
}

/** Name of the drawing of one view, the `style` of a scene item. @throws RangeError outside 0 .. {@link CONCEPT_VIEWS} - 1 */
export function conceptStyle(concept: Concept, view: number): string {
  if (!Number.isInteger(view) || view < 0 || view >= CONCEPT_VIEWS) {
    throw new RangeError(`view ${view} of ${concept.name}: views go from 0 to ${CONCEPT_VIEWS - 1}`);
  }
  return `${concept.name}-${concept.identity ? view : ART_STYLES[view % ART_STYLES.length]}`;
}

/** Name, SVG and size of every drawing of every concept. */
export function conceptDrawings(
  draw: PersonArtist,
): [style: string, className: SubjectName, svg: string, size: number][] {
  const out: [string, SubjectName, string, number][] = [];
  for (const concept of CONCEPTS) {
    const views = concept.identity ? CONCEPT_VIEWS : ART_STYLES.length;
    for (let view = 0; view < views; view++) {
      for (const size of new Set<number>([SIZES.subjectBesideObject, SIZES.subject])) {
        out.push([conceptStyle(concept, view), concept.class, viewSvg(concept, view, size, draw), size]);
      }
    }
  }
  return out;
}

function viewSvg(concept: Concept, view: number, size: number, draw: PersonArtist): string {
  const person = conceptAppearance(concept, view);
  if (person) return draw(person);
  const style = ART_STYLES[view % ART_STYLES.length];
  return recoloredSvg(concept.class as AnimalName | SubjectObjectName, style, concept.color as Color, size);
}

/** An animal or a thing in an unusual color. @param color its name, or a hue in degrees */
export function recoloredSvg(
  subject: AnimalName | SubjectObjectName,
  style: ArtStyle,
  color: Color | number,
  size: number,
): string {
  const icon = loadIcon(style, SUBJECT_ICONS[subject]);
  const uncolored = LINE_DRAWINGS.has(`${style}/${subject}`) ? 'white' : GRAY_SUBJECTS.has(subject) ? 'greys' : 'none';
  return svgDocument(
    { ...icon, body: tint(icon.body, typeof color === 'number' ? color : HUES[color], uncolored) },
    size,
  );
}
