/** Captions of scenes from templates: lower case words between single spaces. */
import type { Rng } from '../engine/random';
import { describePerson } from './people';
import { placementOf, relationOf, type Placement, type Scene, type SceneItem } from './scene';
import { BACKGROUND_PHRASES, NUMBER_WORDS } from './world';

/** "a" or "an" with the word. */
export const withArticle = (word: string) => `${/^[aeiou]/.test(word) ? 'an' : 'a'} ${word}`;

/** Plural of an object's name. */
export const plural = (object: string) => (object === 'fish' ? 'fish' : `${object}s`);

/** "red car", "fox", "person": the shortest name that tells a figure apart. */
export const shortName = (item: SceneItem) => (item.color ? `${item.color} ${item.object}` : item.object);

/**
 * Names one by one, counted: "two red cars and a blue hat". More than six of a name are said to be six.
 * @param single how a name that comes once is said. Default: with its article
 */
export function inNumbers(names: readonly string[], single: (name: string) => string = withArticle): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const said = [...counts].map(([name, count]) => {
    const words = name.split(' ');
    const things = [...words.slice(0, -1), plural(words[words.length - 1])].join(' ');
    return count === 1 ? single(name) : `${NUMBER_WORDS[Math.min(count, NUMBER_WORDS.length - 1)]} ${things}`;
  });
  return said.join(' and ');
}

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

/** A figure in one of several true ways: people now and then without their looks. */
const mention = (item: SceneItem, rng: Rng) =>
  item.attributes && rng.uniform() < 0.25 ? withArticle(item.object) : describeItem(item);

/** What the scene shows, without opening and background; several true ways of saying it. */
function statements(scene: Scene, rng: Rng): string[] {
  const [a, b] = scene.items;
  switch (scene.kind) {
    case 'single': {
      const it = describeItem(a);
      const placed = `${it} ${PLACEMENT_PHRASES[placementOf(a)]}`;
      return [it, placed, placed];
    }
    case 'count':
      return [`${NUMBER_WORDS[scene.items.length]} ${a.color} ${plural(a.object)}`];
    case 'subject':
      return [mention(a, rng)];
    case 'pair': {
      const [first, second] = [describeItem(a), describeItem(b)];
      const exact = [`${first} ${relationOf(a, b)} ${second}`, `${second} ${relationOf(b, a)} ${first}`];
      const beside = relationOf(a, b) === 'left of' ? [`${first} beside ${second}`] : [];
      return [...exact, ...exact, `${first} and ${second}`, ...beside];
    }
    case 'subject+object': {
      const [who, what] = [mention(a, rng), describeItem(b)];
      return [
        `${who} beside ${what}`,
        `${who} beside ${what}`,
        `${who} ${relationOf(a, b)} ${what}`,
        `${what} ${relationOf(b, a)} ${who}`,
      ];
    }
  }
}

/** "a photo of a fox in the rain . the fox is beside a red umbrella": a prompt and what reasoning adds to it. */
function compound(scene: Scene, rng: Rng): string {
  const [a, b] = scene.items;
  const where = BACKGROUND_PHRASES[scene.background];
  const who = `${rng.pick(OPENINGS)}${mention(a, rng)}`;
  if (!b) return `${who} . the ${a.object} is ${where}`;
  const beside = `beside ${describeItem(b)}`;
  return rng.uniform() < 0.7
    ? `${who} ${where} . the ${a.object} is ${beside}`
    : `${who} ${beside} . the ${a.object} is ${where}`;
}

/** A true caption of the scene: opening, figures, background; a third of the subjects' captions are compound. At most 26 words. */
export function captionOf(scene: Scene, rng: Rng): string {
  if (scene.items[0].category === 'subject' && rng.uniform() < 1 / 3) return compound(scene, rng);
  return `${rng.pick(OPENINGS)}${rng.pick(statements(scene, rng))} ${BACKGROUND_PHRASES[scene.background]}`;
}
