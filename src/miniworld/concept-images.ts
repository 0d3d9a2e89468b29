/** Images of concepts with their truth: on request, and the sixteen reference images of each. */
import { Rng } from '../engine/random';
import { describeItem } from './captions';
import { CONCEPT_VIEWS, conceptAppearance, conceptStyle, type Concept } from './concepts';
import { renderScene } from './render';
import { besideLayout, CREATURE_ROW, creatureColumn, SIZES, type Scene, type SceneItem } from './scene';
import type { SpriteSheet } from './sprites';
import {
  GROUND_PHRASES,
  PLAIN_GROUNDS,
  SCENIC_GROUNDS,
  TRAIN_COMBINATIONS,
  type Combination,
  type Ground,
} from './world';

/** What an image of a concept shall show. */
export interface ConceptImageOptions {
  readonly ground: Ground;
  /** what stands beside it; default: nothing */
  readonly companion?: Combination;
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
  const companion = scene.items[1];
  return `${subject}${companion ? ` beside ${describeItem(companion)}` : ''} ${GROUND_PHRASES[scene.ground]}`;
}

/** Draws the concept; the same options and stream give the same pixels. */
export function renderConcept(concept: Concept, options: ConceptImageOptions, sprites: SpriteSheet): ConceptImage {
  const { ground, companion, rng } = options;
  const view = options.view ?? rng.int(CONCEPT_VIEWS / 2);
  const figure = (x: number, y: number, size: number): SceneItem => ({
    object: concept.class,
    color: null,
    category: 'creature',
    x,
    y,
    size,
    style: conceptStyle(concept, view),
    attributes: conceptAppearance(concept, view),
  });
  let scene: Scene;
  if (companion) {
    const at = besideLayout(rng);
    const beside: SceneItem = { ...companion, category: 'object', ...at.companion, size: SIZES.companion };
    scene = {
      kind: 'creature+object',
      ground,
      items: [figure(at.creature.x, at.creature.y, SIZES.besideCreature), beside],
    };
  } else {
    scene = {
      kind: 'creature',
      ground,
      items: [figure(creatureColumn(rng), CREATURE_ROW, SIZES.creature)],
    };
  }
  return { pixels: renderScene(scene, sprites), scene, view, caption: `a photo of ${describeConceptScene(scene)}` };
}

/**
 * The eight reference images of a split, always the same: four alone (two on plain, two on scenic grounds) and four
 * with a companion on plain grounds, so that no image tells or contradicts a fact. Training and held-out images
 * share no view of a person (for animals and things the art styles are the views), no ground of a lone view and no companion.
 */
export function conceptReferences(concept: Concept, split: 'train' | 'heldout', sprites: SpriteSheet): ConceptImage[] {
  const shared = new Rng(779).split(concept.name);
  const companions = shared.shuffle(TRAIN_COMBINATIONS);
  const half = CONCEPT_VIEWS / 2;
  const plain = shared.shuffle(PLAIN_GROUNDS);
  const scenic = shared.shuffle(SCENIC_GROUNDS);
  const late = split === 'train' ? 0 : 1; // no view of the held-out half stands alone on the ground it had in training
  const grounds: Ground[] = [plain[late], plain[late + 1], scenic[2 * late], scenic[2 * late + 1]];
  grounds.push(plain[2], plain[0], plain[1], plain[2]);
  const rng = shared.split(split);
  return Array.from({ length: half }, (_, i) => {
    const ground = grounds[i];
    const companion = i < 4 ? undefined : companions[i + (split === 'train' ? 0 : half)];
    return renderConcept(concept, { ground, companion, view: i + (split === 'train' ? 0 : half), rng }, sprites);
  });
}
