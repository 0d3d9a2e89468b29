/** Teaching mini_figure: which subject a figure is, in which color, and the looks of people. */
import { CONCEPTS } from '../concepts';
import { addRecoloredSubjects, recoloredStyle } from '../recolored-subjects';
import { renderScene } from '../render';
import { sampleScene, SIZES } from '../scene';
import { type SpriteSheet, loadSprites } from '../sprites';
import { ANIMALS, ART_STYLES, COLORS, SUBJECTS, BACKGROUNDS, SUBJECT_OBJECTS } from '../world';
import type { Rng } from '../../engine';
import { MINI_LOOKS_TRUNK, MiniLooks, type MiniLooksConfig } from '../../models/scorers/mini-looks';
import type { BinaryTokenizer } from './images';
import { faceImage, attributeLabels, MINI_FACE_CONFIG } from './face-task';
import { type LabeledFigure, type AttributeOptions, attributeTask, UNSEEN } from './attribute-task';

const SUBJECT_COLORS = ['natural', ...COLORS] as const;

/** What it tells apart: who, the colors of animals and things, and what mini_face sees in people. */
export const MINI_FIGURE_CONFIG: MiniLooksConfig = {
  size: SIZES.subject,
  trunk: MINI_LOOKS_TRUNK,
  looks: { who: SUBJECTS, coat: SUBJECT_COLORS, ...MINI_FACE_CONFIG.looks },
};

/** The looks that say which one it is: people wear no color, and nobody else has hair. */
export const figureAttributes = (kind: 'person' | 'animal' | 'object'): string[] =>
  kind === 'person' ? ['who', ...Object.keys(MINI_FACE_CONFIG.looks)] : ['who', 'coat'];

/** Subjects in colors that are no concept's. */
const STRANGERS = [...ANIMALS, ...SUBJECT_OBJECTS].flatMap((object) =>
  SUBJECT_COLORS.filter((coat) => !CONCEPTS.some((c) => c.class === object && c.color === coat)).map((coat) => ({
    object,
    coat,
  })),
);

/**
 * A generic figure, alone or beside an object, on any background: two of five are people, the others animals and things in
 * any color but those of the concepts.
 * @param sprites with `addCoats` @param people which of the pool: from, to; default those mini_face is taught on
 */
export function figureImage(rng: Rng, sprites: SpriteSheet, people?: readonly [number, number]): LabeledFigure {
  const none = Object.fromEntries(Object.keys(MINI_FIGURE_CONFIG.looks).map((look) => [look, UNSEEN]));
  if (rng.uniform() < 0.4) {
    const { person, ...image } = faceImage(rng, sprites, ...(people ?? []));
    return { ...image, labels: { ...none, ...attributeLabels(person), who: SUBJECTS.indexOf('person') } };
  }
  const { object, coat } = rng.pick(STRANGERS);
  const style = rng.pick(ART_STYLES);
  const scene = sampleScene(rng, 'train', rng.uniform() < 0.5 ? 'subject' : 'subject+object');
  const [place, ...rest] = scene.items;
  const figure = {
    ...place,
    object,
    style: coat === 'natural' ? style : recoloredStyle(style, coat),
    attributes: undefined,
  };
  return {
    pixels: renderScene({ ...scene, background: rng.pick(BACKGROUNDS), items: [figure, ...rest] }, sprites),
    x: place.x,
    y: place.y,
    labels: { ...none, who: SUBJECTS.indexOf(object), coat: SUBJECT_COLORS.indexOf(coat) },
  };
}

/** A fresh mini_figure and its task. @param imageTokenizer see `trainClip` */
export async function figureTraining(imageTokenizer: BinaryTokenizer | undefined, options: AttributeOptions, rng: Rng) {
  const sprites = await loadSprites();
  await addRecoloredSubjects(sprites);
  const figure = MiniLooks.random('mini-figure', MINI_FIGURE_CONFIG, rng.split('mini-figure'));
  return { figure, task: attributeTask(figure, (own) => figureImage(own, sprites), imageTokenizer, options, rng) };
}
