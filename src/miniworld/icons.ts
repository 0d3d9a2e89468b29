/** Pictograms from the npm packages `@iconify-json/*`, as SVG text. */
import { readFileSync } from 'node:fs';
import type { ArtStyle, AnimalName, ObjectName, SubjectObjectName } from './world';

interface IconSet {
  readonly width?: number;
  readonly height?: number;
  readonly icons: Readonly<
    Record<string, { body: string; width?: number; height?: number; left?: number; top?: number }>
  >;
}

/** Which family and icon shows each colored object best at 24 pixels (chosen by eye). */
export const OBJECT_ICONS: Readonly<Record<ObjectName, readonly [ArtStyle, string]>> = {
  car: ['fluent-emoji-flat', 'automobile'],
  house: ['fluent-emoji-flat', 'house'],
  fish: ['twemoji', 'fish'],
  bird: ['noto', 'bird'],
  apple: ['noto', 'red-apple'],
  cup: ['noto', 'hot-beverage'],
  boat: ['twemoji', 'sailboat'],
  hat: ['twemoji', 'top-hat'],
  umbrella: ['fluent-emoji-flat', 'umbrella'],
  lamp: ['fluent-emoji-flat', 'light-bulb'],
  book: ['noto', 'closed-book'],
  flower: ['fluent-emoji-flat', 'blossom'],
};

/** The icon's name for each animal and thing, the same in the four families. */
export const SUBJECT_ICONS: Readonly<Record<AnimalName | SubjectObjectName, string>> = {
  dog: 'dog-face',
  cat: 'cat-face',
  fox: 'fox',
  panda: 'panda',
  owl: 'owl',
  rabbit: 'rabbit-face',
  frog: 'frog',
  pig: 'pig-face',
  bear: 'bear',
  penguin: 'penguin',
  teapot: 'teapot',
  guitar: 'guitar',
  backpack: 'backpack',
  robot: 'robot',
  clock: 'alarm-clock',
  camera: 'camera',
  drum: 'drum',
  rocket: 'rocket',
};

const sets = new Map<ArtStyle, IconSet>();

function iconSet(style: ArtStyle): IconSet {
  let set = sets.get(style);
  if (!set) {
    let file: string;
    try {
      file = require.resolve(`@iconify-json/${style}/icons.json`);
    } catch {
      throw new Error(
        `the pictogram package @iconify-json/${style} is not installed; install it with: npm install @iconify-json/${style}`,
      );
    }
    set = JSON.parse(readFileSync(file, 'utf8')) as IconSet;
    sets.set(style, set);
  }
  return set;
}

/** SVG markup of one icon with its view box. */
export interface Icon {
  readonly body: string;
  /** `min-x min-y width height` */
  readonly viewBox: string;
}

/**
 * One icon of a family.
 * @throws Error naming the package when it is missing, or the icon when the family has none of that name
 */
export function loadIcon(style: ArtStyle, name: string): Icon {
  const set = iconSet(style);
  const icon = set.icons[name];
  if (!icon) {
    throw new Error(
      `@iconify-json/${style} has no icon '${name}'; install the pinned version with: npm install @iconify-json/${style}`,
    );
  }
  const side = (value: number | undefined, other: number | undefined) => value ?? other ?? 16;
  const width = side(icon.width, set.width);
  const height = side(icon.height, set.height);
  return { body: icon.body, viewBox: `${icon.left ?? 0} ${icon.top ?? 0} ${width} ${height}` };
}

/** A complete SVG document of `size` x `size` pixels. */
export function svgDocument(icon: Icon, size: number): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${size}" height="${size}" viewBox="${icon.viewBox}">${icon.body}</svg>`;
}
