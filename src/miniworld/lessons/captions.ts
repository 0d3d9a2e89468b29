/** Captioned images for mini_clip: groups of scenes that differ in one word, and what each caption claims. */
import { captionOf, describeItem, shortName, withArticle } from '../captions';
import { CONCEPT_VIEWS, type Concept } from '../concepts';
import { quarter, sampleSubject, sampleScene, type Scene, type SceneItem } from '../scene';
import type { SpriteSheet } from '../sprites';
import {
  COLORS,
  BACKGROUND_PHRASES,
  BACKGROUNDS,
  isHeldOut,
  OBJECTS,
  TRAIN_COMBINATIONS,
  type Color,
  type ObjectName,
} from '../world';
import type { Rng } from '../../engine';
import { conceptImage } from './images';

/** A scene of split `train`, or an image of a concept in one of its training views. */
export interface DepictedScene {
  readonly scene: Scene;
  readonly concept?: Concept;
}

/** A caption and what must be true for it to be true. */
export interface Caption {
  readonly text: string;
  /** Names of figures, each as often as it is claimed; `<sks>` is any subject. */
  readonly figures: readonly string[];
  readonly background: Scene['background'] | null;
}

/** Every name that a figure goes by in captions. */
function namesOf(item: SceneItem, concept?: Concept): string[] {
  if (item.category === 'object') return [shortName(item)];
  return [
    item.object,
    withArticle(item.object),
    describeItem(item),
    '<sks>',
    ...(concept ? [concept.description] : []),
  ];
}

/** Whether a caption is true of a scene: then it is no wrong caption for it, whichever image it was made for. */
export function isTrueOf(caption: Caption, { scene, concept }: DepictedScene): boolean {
  if (caption.background !== null && caption.background !== scene.background) return false;
  return [...new Set(caption.figures)].every(
    (name) =>
      scene.items.filter((item) => namesOf(item, concept).includes(name)).length ===
      caption.figures.filter((f) => f === name).length,
  );
}

/**
 * A true caption. Of subjects a quarter are called `<sks>`, as prompts about concepts do; some captions leave out the
 * background or the object, as the two halves of a compound prompt do.
 */
export function captionFor(depicted: DepictedScene, rng: Rng): Caption {
  const { scene, concept } = depicted;
  const [first, second] = scene.items;
  const background = scene.background;
  const where = BACKGROUND_PHRASES[background];
  if (first.category === 'object') {
    const text = captionOf(scene, rng);
    const figures = scene.items.map(shortName);
    return rng.uniform() < 0.1
      ? { text: text.replace(` ${where}`, ''), figures, background: null }
      : { text, figures, background };
  }
  const beside = second ? [shortName(second)] : [];
  const u = rng.uniform();
  const name = u < 0.25 ? '<sks>' : concept ? (u < 0.7 ? concept.description : withArticle(first.object)) : null;
  if (rng.uniform() < 0.25) {
    const who = name ?? describeItem(first);
    const it = who === '<sks>' ? '<sks>' : `the ${first.object}`;
    const opening = `${rng.pick(['a photo of ', 'a picture of ', ''])}${who} . ${it} is`;
    if (second && rng.uniform() < 0.6)
      return { text: `${opening} beside ${describeItem(second)}`, figures: [who, ...beside], background: null };
    return { text: `${opening} ${where}`, figures: [who], background };
  }
  const text = captionOf(scene, rng);
  const looks = describeItem(first);
  const called = text.includes(looks) ? looks : withArticle(first.object);
  if (!name) return { text, figures: [called, ...beside], background };
  const renamed = text.replace(called, name);
  return {
    text: name === '<sks>' ? renamed.replace(`the ${first.object}`, '<sks>') : renamed,
    figures: [name, ...beside],
    background,
  };
}

/** A scene of split `train`, more often than not one in which a color or an object can be wrong. */
export function sampleDepictedScene(rng: Rng, sprites: SpriteSheet): DepictedScene {
  if (rng.uniform() >= 0.2) return { scene: sampleScene(rng, 'train') };
  const { scene, concept } = conceptImage(rng, sprites, rng.int(CONCEPT_VIEWS / 2), TRAIN_COMBINATIONS);
  return { scene, concept };
}

/** The same scene but for one thing: the background, a color, an object, how many there are, or who it is. Never held out. */
export function variantOf({ scene, concept }: DepictedScene, rng: Rng): DepictedScene {
  const { items, kind } = scene;
  const target = items.findIndex((item) => item.color !== null);
  const changes: (() => DepictedScene)[] = [
    () => ({ concept, scene: { ...scene, background: rng.pick(BACKGROUNDS.filter((g) => g !== scene.background)) } }),
  ];
  if (target >= 0) {
    const at = kind === 'pair' ? rng.int(2) : target;
    const item = items[at];
    const repaint = (object: string, color: Color): DepictedScene => {
      const changed = items.map((i, k) =>
        k === at || kind === 'count' ? { ...i, object: object as ObjectName, color } : i,
      );
      return { concept, scene: { ...scene, items: changed } };
    };
    const colors = COLORS.filter((c) => c !== item.color && !isHeldOut(item.object, c));
    const objects = OBJECTS.filter((o) => !items.some((i) => i.object === o) && !isHeldOut(o, item.color));
    // What stands there, and in which color, is what a glance gets wrong most easily: asked for more often.
    for (let k = 0; k < 2; k++) {
      changes.push(
        () => repaint(item.object, rng.pick(colors)),
        () => repaint(rng.pick(objects), item.color as Color),
      );
    }
  }
  if (kind === 'count') {
    changes.push(() => {
      const slots = rng
        .shuffle([0, 1, 2, 3])
        .slice(0, rng.pick([2, 3, 4].filter((n) => n !== items.length)))
        .sort((a, b) => a - b);
      return {
        scene: { ...scene, items: slots.map((s) => ({ ...items[0], x: quarter(s)[0], y: quarter(s)[1] })) },
      };
    });
  }
  if (kind === 'pair') {
    const [a, b] = items;
    if (a.color !== b.color && !isHeldOut(a.object, b.color) && !isHeldOut(b.object, a.color)) {
      changes.push(() => ({
        scene: {
          ...scene,
          items: [
            { ...a, color: b.color },
            { ...b, color: a.color },
          ],
        },
      }));
    }
  }
  if (items[0].category === 'subject' && !concept) {
    const { x, y, size } = items[0];
    changes.push(() => ({ scene: { ...scene, items: [sampleSubject(rng, x, y, size), ...items.slice(1)] } }));
  }
  return rng.pick(changes)();
}
