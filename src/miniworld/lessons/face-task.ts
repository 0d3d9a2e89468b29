/** Teaching mini_face: the looks of generic people, alone or beside something, as rendered and as generated. */
import { genericPerson, HAIR_COLORS, HAIR_STYLES, PEOPLE_POOL, type PersonAttributes, SKIN_TONES } from '../people';
import { renderScene } from '../render';
import { sampleScene, SIZES } from '../scene';
import { loadSprites, type SpriteSheet } from '../sprites';
import { BACKGROUNDS } from '../world';
import type { Rng } from '../../engine';
import { MINI_LOOKS_TRUNK, MiniLooks, type MiniLooksConfig } from '../../models/scorers/mini-looks';
import type { BinaryTokenizer } from './images';
import { type LabeledFigure, type AttributeOptions, attributeTask, UNSEEN } from './attribute-task';

/** The looks that make a person that person. */
export const MINI_FACE_CONFIG: MiniLooksConfig = {
  size: SIZES.subject,
  trunk: MINI_LOOKS_TRUNK,
  looks: {
    hair_style: HAIR_STYLES,
    hair_color: HAIR_COLORS,
    skin: SKIN_TONES,
    glasses: ['no', 'yes'],
    beard: ['no', 'yes'],
  },
};

/** Everybody of the pool for teaching but the last ones, who are for measuring. */
export const FACES_TAUGHT = PEOPLE_POOL - 60;

/** Number of each look of {@link MINI_FACE_CONFIG}. */
export function attributeLabels(person: PersonAttributes): Record<string, number> {
  const colored = person.hairStyle !== 'bald' || person.beard;
  return {
    hair_style: HAIR_STYLES.indexOf(person.hairStyle),
    hair_color: colored ? HAIR_COLORS.indexOf(person.hairColor) : UNSEEN,
    skin: SKIN_TONES.indexOf(person.skin),
    glasses: person.glasses ? 1 : 0,
    beard: person.beard ? 1 : 0,
  };
}

/** An image of a generic person and where the figure stands. */
export interface FaceImage {
  /** RGB bytes `[64, 64, 3]` */
  readonly pixels: Uint8Array;
  readonly person: PersonAttributes;
  readonly x: number;
  readonly y: number;
}

/** A person with a number in [from, to), alone or beside an object, on any background. */
export function faceImage(rng: Rng, sprites: SpriteSheet, from = 0, to = FACES_TAUGHT): FaceImage {
  const scene = sampleScene(rng, 'train', rng.uniform() < 0.5 ? 'subject' : 'subject+object');
  const index = from + rng.int(to - from);
  const [who, ...rest] = scene.items;
  const figure = { ...who, object: 'person' as const, style: `person-${index}`, attributes: genericPerson(index) };
  const shown = { ...scene, background: rng.pick(BACKGROUNDS), items: [figure, ...rest] };
  return { pixels: renderScene(shown, sprites), person: figure.attributes, x: who.x, y: who.y };
}

/** A fresh mini_face and its task. @param imageTokenizer see `trainClip` */
export async function faceTraining(imageTokenizer: BinaryTokenizer | undefined, options: AttributeOptions, rng: Rng) {
  const sprites = await loadSprites();
  const face = MiniLooks.random('mini-face', MINI_FACE_CONFIG, rng.split('mini-face'));
  const draw = (own: Rng): LabeledFigure => {
    const { person, ...image } = faceImage(own, sprites);
    return { ...image, labels: attributeLabels(person) };
  };
  return { face, task: attributeTask(face, draw, imageTokenizer, options, rng) };
}
