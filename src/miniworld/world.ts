/**
 * The closed world of the mini scenes: what there is to see, in which colors, on which backgrounds, and which
 * (object, color) combinations are held out. Plain data; everything else in this folder is derived from it.
 */

/** Objects that take a color; alone, counted, in pairs and as objects beside it. */
export const OBJECTS = [
  'car',
  'house',
  'fish',
  'bird',
  'apple',
  'cup',
  'boat',
  'hat',
  'umbrella',
  'lamp',
  'book',
  'flower',
] as const;
export type ObjectName = (typeof OBJECTS)[number];

/** The colors an object can have. */
export const COLORS = ['red', 'yellow', 'green', 'blue', 'purple', 'pink'] as const;
export type Color = (typeof COLORS)[number];

/** Backgrounds of one color. */
export const PLAIN_BACKGROUNDS = ['white', 'grey', 'cream'] as const;
/** Backgrounds that are a place or a weather: the situations that facts about concepts speak of. */
export const SCENIC_BACKGROUNDS = ['beach', 'meadow', 'night', 'snow', 'rain', 'city'] as const;
export const BACKGROUNDS = [...PLAIN_BACKGROUNDS, ...SCENIC_BACKGROUNDS] as const;
export type ScenicBackground = (typeof SCENIC_BACKGROUNDS)[number];
export type Background = (typeof BACKGROUNDS)[number];

/** How a caption says the background; the answer to "where is ... ?". */
export const BACKGROUND_PHRASES: Readonly<Record<Background, string>> = {
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

/** Animals in natural colors. */
export const ANIMALS = ['dog', 'cat', 'fox', 'panda', 'owl', 'rabbit', 'frog', 'pig', 'bear', 'penguin'] as const;
/** Things in natural colors; like the animals drawn in four art styles. */
export const SUBJECT_OBJECTS = ['teapot', 'guitar', 'backpack', 'robot', 'clock', 'camera', 'drum', 'rocket'] as const;
/** Everything that can be the one main figure of a scene. */
export const SUBJECTS = ['person', ...ANIMALS, ...SUBJECT_OBJECTS] as const;
export type AnimalName = (typeof ANIMALS)[number];
export type SubjectObjectName = (typeof SUBJECT_OBJECTS)[number];
export type SubjectName = (typeof SUBJECTS)[number];

/** Pictogram families (npm `@iconify-json/<style>`): four views of one subject. */
export const ART_STYLES = ['noto', 'fluent-emoji-flat', 'openmoji', 'twemoji'] as const;
export type ArtStyle = (typeof ART_STYLES)[number];

/** An object in a color. */
export interface Combination {
  readonly object: ObjectName;
  readonly color: Color;
}

/**
 * The combinations that never occur in split `train` (neither images, captions, questions nor facts): one for
 * each object, two for each color, 12 of 72.
 */
export const HELD_OUT_COMBINATIONS: readonly Combination[] = [
  { object: 'car', color: 'green' },
  { object: 'house', color: 'blue' },
  { object: 'fish', color: 'red' },
  { object: 'bird', color: 'purple' },
  { object: 'apple', color: 'pink' },
  { object: 'cup', color: 'yellow' },
  { object: 'boat', color: 'green' },
  { object: 'hat', color: 'red' },
  { object: 'umbrella', color: 'blue' },
  { object: 'lamp', color: 'purple' },
  { object: 'book', color: 'yellow' },
  { object: 'flower', color: 'pink' },
];

const heldOutKeys = new Set(HELD_OUT_COMBINATIONS.map((c) => `${c.color} ${c.object}`));

/** Whether the pair belongs to split `heldout`. */
export function isHeldOut(object: string, color: string | null): boolean {
  return color !== null && heldOutKeys.has(`${color} ${object}`);
}

/** The 60 combinations of split `train`. */
export const TRAIN_COMBINATIONS: readonly Combination[] = OBJECTS.flatMap((object) =>
  COLORS.filter((color) => !isHeldOut(object, color)).map((color) => ({ object, color })),
);

/** `train`: no held-out combination anywhere; `heldout`: at least one in every scene. */
export type Split = 'train' | 'heldout';

/** Number words used for counts. */
export const NUMBER_WORDS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six'] as const;

/** Side of every image, in pixels. */
export const IMAGE_SIZE = 64;
