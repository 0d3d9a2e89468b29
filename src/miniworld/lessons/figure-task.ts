/** Teaching mini_figure: which creature a figure is, in which coat, and the looks of people. */
import {
  addCoats,
  ANIMALS,
  ART_STYLES,
  coatOf,
  COLOURS,
  CONCEPTS,
  CREATURES,
  GROUNDS,
  renderScene,
  sampleScene,
  SIZES,
  type SpriteSheet,
  THINGS,
  loadSprites,
} from '..';
import type { Rng } from '../../engine';
import { MINI_LOOKS_TRUNK, MiniLooks, type MiniLooksConfig } from '../../models/scorers/mini-looks';
import type { MagvitTokenizer } from '../../models/showo/magvit';
import { faceImage, lookLabels, MINI_FACE_CONFIG } from './face-task';
import { type LabelledFigure, type LooksOptions, looksTask, UNSEEN } from './looks-task';

const COATS = ['natural', ...COLOURS] as const;

/** What it tells apart: who, the coats of animals and things, and what mini_face sees in people. */
export const MINI_FIGURE_CONFIG: MiniLooksConfig = {
  size: SIZES.creature,
  trunk: MINI_LOOKS_TRUNK,
  looks: { who: CREATURES, coat: COATS, ...MINI_FACE_CONFIG.looks },
};

/** The looks that say which one it is: people wear no coat, and nobody else has hair. */
export const figureLooks = (kind: 'person' | 'animal' | 'object'): string[] =>
  kind === 'person' ? ['who', ...Object.keys(MINI_FACE_CONFIG.looks)] : ['who', 'coat'];

/** Creatures in coats that are no concept's. */
const STRANGERS = [...ANIMALS, ...THINGS].flatMap((object) =>
  COATS.filter((coat) => !CONCEPTS.some((c) => c.class === object && c.color === coat)).map((coat) => ({ object, coat })),
); // prettier-ignore

/**
 * A generic figure, alone or beside an object, on any ground: two of five are people, the others animals and things in
 * any coat but those of the concepts.
 * @param sprites with `addCoats` @param people which of the pool: from, to; default those mini_face is taught on
 */
export function figureImage(rng: Rng, sprites: SpriteSheet, people?: readonly [number, number]): LabelledFigure {
  const none = Object.fromEntries(Object.keys(MINI_FIGURE_CONFIG.looks).map((look) => [look, UNSEEN]));
  if (rng.uniform() < 0.4) {
    const { person, ...image } = faceImage(rng, sprites, ...(people ?? []));
    return { ...image, labels: { ...none, ...lookLabels(person), who: CREATURES.indexOf('person') } };
  }
  const { object, coat } = rng.pick(STRANGERS);
  const style = rng.pick(ART_STYLES);
  const scene = sampleScene(rng, 'train', rng.uniform() < 0.5 ? 'creature' : 'creature+object');
  const [place, ...rest] = scene.items;
  const figure = { ...place, object, style: coat === 'natural' ? style : coatOf(style, coat), attributes: undefined };
  return {
    pixels: renderScene({ ...scene, ground: rng.pick(GROUNDS), items: [figure, ...rest] }, sprites),
    x: place.x,
    y: place.y,
    labels: { ...none, who: CREATURES.indexOf(object), coat: COATS.indexOf(coat) },
  };
}

/** A fresh mini_figure and its task. @param images see `trainClip` */
export async function figureTraining(imageTokenizer: MagvitTokenizer | undefined, options: LooksOptions, rng: Rng) {
  const sprites = await loadSprites();
  await addCoats(sprites);
  const figure = MiniLooks.random('mini-figure', MINI_FIGURE_CONFIG, rng.split('mini-figure'));
  return { figure, task: looksTask(figure, (own) => figureImage(own, sprites), imageTokenizer, options, rng) };
}
