/**
 * The closed world of the mini scenes: what there is to see, in which colours, on which grounds, and which
 * (object, colour) combinations are held out. Plain data; everything else in this folder is derived from it.
 */

/** Objects that take a colour; alone, counted, in pairs and as companions. */
export const OBJECTS = [
  'car', 'house', 'fish', 'bird', 'apple', 'cup', 'boat', 'hat', 'umbrella', 'lamp', 'book', 'flower',
] as const; // prettier-ignore
export type ObjectName = (typeof OBJECTS)[number];

/** The colours an object can have. */
export const COLOURS = ['red', 'yellow', 'green', 'blue', 'purple', 'pink'] as const;
export type Colour = (typeof COLOURS)[number];

/** Grounds of one colour. */
export const PLAIN_GROUNDS = ['white', 'grey', 'cream'] as const;
/** Grounds that are a place or a weather: the situations that facts about concepts speak of. */
export const SCENIC_GROUNDS = ['beach', 'meadow', 'night', 'snow', 'rain', 'city'] as const;
export const GROUNDS = [...PLAIN_GROUNDS, ...SCENIC_GROUNDS] as const;
export type ScenicGround = (typeof SCENIC_GROUNDS)[number];
export type Ground = (typeof GROUNDS)[number];

/** How a caption says the ground; the answer to "where is ... ?". */
export const GROUND_PHRASES: Readonly<Record<Ground, string>> = {
  white: 'on a white background',
  grey: 'on a grey background',
  cream: 'on a cream background',
  beach: 'at the beach',
  meadow: 'in the meadow',
  night: 'at night',
  snow: 'in the snow',
  rain: 'in the rain',
  city: 'in the city',
};

/** Animals in natural colours. */
export const ANIMALS = ['dog', 'cat', 'fox', 'panda', 'owl', 'rabbit', 'frog', 'pig', 'bear', 'penguin'] as const;
/** Things in natural colours; like the animals drawn in four art styles. */
export const THINGS = [
  'teapot', 'guitar', 'backpack', 'robot', 'clock', 'camera', 'drum', 'rocket',
] as const; // prettier-ignore
/** Everything that can be the one main figure of a scene. */
export const CREATURES = ['person', ...ANIMALS, ...THINGS] as const;
export type AnimalName = (typeof ANIMALS)[number];
export type ThingName = (typeof THINGS)[number];
export type CreatureName = (typeof CREATURES)[number];

/** Pictogram families (npm `@iconify-json/<style>`): four views of one subject. */
export const ART_STYLES = ['noto', 'fluent-emoji-flat', 'openmoji', 'twemoji'] as const;
export type ArtStyle = (typeof ART_STYLES)[number];

/** An object in a colour. */
export interface Combination {
  readonly object: ObjectName;
  readonly colour: Colour;
}

/**
 * The combinations that never occur in split `train` (neither pictures, captions, questions nor facts): one for
 * each object, two for each colour, 12 of 72.
 */
export const HELD_OUT_COMBINATIONS: readonly Combination[] = [
  { object: 'car', colour: 'green' },
  { object: 'house', colour: 'blue' },
  { object: 'fish', colour: 'red' },
  { object: 'bird', colour: 'purple' },
  { object: 'apple', colour: 'pink' },
  { object: 'cup', colour: 'yellow' },
  { object: 'boat', colour: 'green' },
  { object: 'hat', colour: 'red' },
  { object: 'umbrella', colour: 'blue' },
  { object: 'lamp', colour: 'purple' },
  { object: 'book', colour: 'yellow' },
  { object: 'flower', colour: 'pink' },
];

const heldOutKeys = new Set(HELD_OUT_COMBINATIONS.map((c) => `${c.colour} ${c.object}`));

/** Whether the pair belongs to split `heldout`. */
export function isHeldOut(object: string, colour: string | null): boolean {
  return colour !== null && heldOutKeys.has(`${colour} ${object}`);
}

/** The 60 combinations of split `train`. */
export const TRAIN_COMBINATIONS: readonly Combination[] = OBJECTS.flatMap((object) =>
  COLOURS.filter((colour) => !isHeldOut(object, colour)).map((colour) => ({ object, colour })),
);

/** `train`: no held-out combination anywhere; `heldout`: at least one in every scene. */
export type Split = 'train' | 'heldout';

/** Number words used for counts. */
export const NUMBER_WORDS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six'] as const;

/** Side of every picture, in pixels. */
export const PICTURE_SIZE = 64;
