/** Captions of scenes from templates: lower case words between single spaces. */
import type { Stream } from '../engine/random';
import { describePerson } from './people';
import { placementOf, relationOf, type Placement, type Scene, type SceneItem } from './scene';
import { GROUND_PHRASES, NUMBER_WORDS } from './world';

/** "a" or "an" with the word. */
export const withArticle = (word: string) => `${/^[aeiou]/.test(word) ? 'an' : 'a'} ${word}`;

/** Plural of an object's name. */
export const plural = (object: string) => (object === 'fish' ? 'fish' : `${object}s`);

/** "red car", "fox", "person": the shortest name that tells a figure apart. */
export const shortName = (item: SceneItem) => (item.colour ? `${item.colour} ${item.object}` : item.object);

/** "a red car", "a fox", "a person with long red hair and glasses". */
export function describeItem(item: SceneItem): string {
  if (item.attributes) return describePerson(item.attributes);
  return withArticle(shortName(item));
}

const PLACEMENT_PHRASES: Readonly<Record<Placement, string>> = {
  centre: 'in the centre',
  left: 'on the left',
  right: 'on the right',
  top: 'at the top',
  bottom: 'at the bottom',
};

/** Openings that a caption may carry; the empty one most often. */
const OPENINGS = ['', '', '', 'a photo of ', 'a picture of '] as const;

/** What the scene shows, without opening and ground; several true ways of saying it. */
function statements(scene: Scene): string[] {
  const [a, b] = scene.items;
  switch (scene.kind) {
    case 'single': {
      const it = describeItem(a);
      return [it, it, `${it} ${PLACEMENT_PHRASES[placementOf(a)]}`];
    }
    case 'count':
      return [`${NUMBER_WORDS[scene.items.length]} ${a.colour} ${plural(a.object)}`];
    case 'creature':
      return [describeItem(a)];
    case 'pair': {
      const [first, second] = [describeItem(a), describeItem(b)];
      const exact = [`${first} ${relationOf(a, b)} ${second}`, `${second} ${relationOf(b, a)} ${first}`];
      const beside = relationOf(a, b) === 'left of' ? [`${first} beside ${second}`] : [];
      return [...exact, ...exact, `${first} and ${second}`, ...beside];
    }
    case 'creature+object': {
      const [who, what] = [describeItem(a), describeItem(b)];
      return [`${who} beside ${what}`, `${who} beside ${what}`, `${who} ${relationOf(a, b)} ${what}`, `${what} ${relationOf(b, a)} ${who}`]; // prettier-ignore
    }
  }
}

/** A true caption of the scene: opening, figures, ground. At most 24 words. */
export function captionOf(scene: Scene, stream: Stream): string {
  return `${stream.pick(OPENINGS)}${stream.pick(statements(scene))} ${GROUND_PHRASES[scene.ground]}`;
}
