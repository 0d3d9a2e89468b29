/** Images of concepts with their truth: on request, and the sixteen reference images of each. */
import { Rng } from '../engine/random';
import { describeItem } from './captions';
import { CONCEPT_VIEWS, conceptAppearance, conceptStyle, type Concept } from './concepts';
import { renderScene } from './render';
import { besideLayout, SUBJECT_ROW, subjectColumn, SIZES, type Scene, type SceneItem } from './scene';
import type { SpriteSheet } from './sprites';
import {
  BACKGROUND_PHRASES,
  PLAIN_BACKGROUNDS,
  SCENIC_BACKGROUNDS,
  TRAIN_COMBINATIONS,
  type Combination,
  type Background,
} from './world';

/** What an image of a concept shall show. */
export interface ConceptImageOptions {
  readonly background: Background;
  /** what stands beside it; default: nothing */
  readonly object?: Combination;
  /** which of the {@link CONCEPT_VIEWS} drawings; default: one of the training half, at random */
  readonly view?: number;
  /** chooses view and places */
  readonly rng: Rng;
}

/** An image of a concept and everything that is true of it. */
export interface ConceptImage {
  /** RGB bytes `[64, 64, 3]` */
  readonly pixels: Uint8Array;
  readonly scene: Scene;
  readonly view: number;
  /** "a photo of <sks> beside a red umbrella in the rain" */
  readonly caption: string;
}

/** "<sks> beside a red umbrella in the rain". */
export function describeConceptScene(scene: Scene, subject = '<sks>'): string {
  const object = scene.items[1];
  return `${subject}${object ? ` beside ${describeItem(object)}` : ''} ${BACKGROUND_PHRASES[scene.background]}`;
}

/** Draws the concept; the same options and stream give the same pixels. */
export function renderConcept(concept: Concept, options: ConceptImageOptions, sprites: SpriteSheet): ConceptImage {
  const { background, object, rng } = options;
  const view = options.view ?? rng.int(CONCEPT_VIEWS / 2);
  const figure = (x: number, y: number, size: number): SceneItem => ({
    object: concept.class,
    color: null,
    category: 'subject',
    x,
    y,
    size,
    style: conceptStyle(concept, view),
    attributes: conceptAppearance(concept, view),
  });
  let scene: Scene;
  if (object) {
    const at = besideLayout(rng);
    const beside: SceneItem = { ...object, category: 'object', ...at.object, size: SIZES.objectBesideSubject };
    scene = {
      kind: 'subject+object',
      background,
      items: [figure(at.subject.x, at.subject.y, SIZES.subjectBesideObject), beside],
    };
  } else {
    scene = {
      kind: 'subject',
      background,
      items: [figure(subjectColumn(rng), SUBJECT_ROW, SIZES.subject)],
    };
  }
  return { pixels: renderScene(scene, sprites), scene, view, caption: `a photo of ${describeConceptScene(scene)}` };
}

/**
 * The eight reference images of a split, always the same: four alone (two on plain, two on scenic backgrounds) and four
 * with an object on plain backgrounds, so that no image tells or contradicts a fact. Training and held-out images
 * share no view of a person (for animals and things the art styles are the views), no background of a lone view and no object.
 */
export function conceptReferences(concept: Concept, split: 'train' | 'heldout', sprites: SpriteSheet): ConceptImage[] {
  const shared = new Rng(779).split(concept.name);
  const objects = shared.shuffle(TRAIN_COMBINATIONS);
  const half = CONCEPT_VIEWS / 2;
  const plain = shared.shuffle(PLAIN_BACKGROUNDS);
  const scenic = shared.shuffle(SCENIC_BACKGROUNDS);
  const late = split === 'train' ? 0 : 1; // no view of the held-out half stands alone on the background it had in training
  const grounds: Background[] = [plain[late], plain[late + 1], scenic[2 * late], scenic[2 * late + 1]];
  grounds.push(plain[2], plain[0], plain[1], plain[2]);
  const rng = shared.split(split);
  return Array.from({ length: half }, (_, i) => {
    const background = grounds[i];
    const object = i < 4 ? undefined : objects[i + (split === 'train' ? 0 : half)];
    return renderConcept(concept, { background, object, view: i + (split === 'train' ? 0 : half), rng }, sprites);
  });
}
