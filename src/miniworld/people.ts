/** Generic people: a pool of fixed size, drawn by DiceBear's Avataaars with every option and color pinned. */
import { Rng } from '../engine/random';

export const HAIR_STYLES = ['short', 'long', 'curly', 'bun', 'bald'] as const;
export const HAIR_COLORS = ['black', 'brown', 'blond', 'red', 'grey'] as const;
export const SKIN_TONES = ['light', 'tan', 'brown', 'dark'] as const;
export type HairStyle = (typeof HAIR_STYLES)[number];
export type HairColor = (typeof HAIR_COLORS)[number];
export type SkinTone = (typeof SKIN_TONES)[number];

/** What makes a person that person. */
export interface Identity {
  readonly hairStyle: HairStyle;
  readonly hairColor: HairColor;
  readonly skin: SkinTone;
  readonly glasses: boolean;
  readonly beard: boolean;
}

/** What may change from image to image. */
export interface Appearance {
  readonly clothing: (typeof CLOTHING)[number];
  readonly clothesColor: keyof typeof CLOTHES_COLOURS;
  readonly mouth: (typeof MOUTHS)[number];
  readonly eyes: (typeof EYES)[number];
}

export type PersonAttributes = Identity & Appearance;

const TOPS: Record<Exclude<HairStyle, 'bald'>, 'shortFlat' | 'straight01' | 'fro' | 'bun'> = {
  short: 'shortFlat',
  long: 'straight01',
  curly: 'fro',
  bun: 'bun',
};
const HAIR: Record<HairColor, string> = {
  black: '201812',
  brown: '7a4520',
  blond: 'e8c050',
  red: 'd2401a',
  grey: 'c4c4c8',
};
const SKIN: Record<SkinTone, string> = { light: 'ffdbb4', tan: 'edb98a', brown: 'c07a45', dark: '6b4530' };
const CLOTHING = ['shirtCrewNeck', 'hoodie', 'collarAndSweater', 'shirtVNeck'] as const;
const CLOTHES_COLOURS = {
  navy: '25557c',
  sky: '65c9ff',
  charcoal: '3c4f5c',
  mint: '8fd9b0',
  rose: 'f08a98',
  cream: 'f0e6c8',
};
const MOUTHS = ['smile', 'default', 'serious', 'twinkle', 'sad'] as const;
const EYES = ['default', 'happy', 'side', 'squint'] as const;

/** How many generic people there are. */
export const PEOPLE_POOL = 400;

/**
 * The ten people of the concepts; no generic person has one of these identities.
 */
export const CONCEPT_IDENTITIES: Readonly<Record<string, Identity>> = {
  mira: { hairStyle: 'long', hairColor: 'red', skin: 'light', glasses: true, beard: false },
  otto: { hairStyle: 'bald', hairColor: 'grey', skin: 'tan', glasses: false, beard: true },
  ines: { hairStyle: 'bun', hairColor: 'black', skin: 'brown', glasses: false, beard: false },
  kofi: { hairStyle: 'short', hairColor: 'black', skin: 'dark', glasses: true, beard: true },
  lena: { hairStyle: 'curly', hairColor: 'blond', skin: 'light', glasses: false, beard: false },
  ravi: { hairStyle: 'short', hairColor: 'brown', skin: 'brown', glasses: false, beard: true },
  nora: { hairStyle: 'bun', hairColor: 'grey', skin: 'light', glasses: true, beard: false },
  emil: { hairStyle: 'short', hairColor: 'red', skin: 'light', glasses: false, beard: true },
  zola: { hairStyle: 'curly', hairColor: 'black', skin: 'dark', glasses: true, beard: false },
  yuki: { hairStyle: 'long', hairColor: 'black', skin: 'tan', glasses: false, beard: false },
};

const identityKey = (p: Identity) =>
  [p.hairStyle, p.hairStyle === 'bald' && !p.beard ? '-' : p.hairColor, p.skin, p.glasses, p.beard].join(' ');
const takenIdentities = new Set(Object.values(CONCEPT_IDENTITIES).map(identityKey));

/** Clothes and expression at random. */
export function sampleAppearance(rng: Rng): Appearance {
  return {
    clothing: rng.pick(CLOTHING),
    clothesColor: rng.pick(Object.keys(CLOTHES_COLOURS) as (keyof typeof CLOTHES_COLOURS)[]),
    mouth: rng.pick(MOUTHS),
    eyes: rng.pick(EYES),
  };
}

let pool: PersonAttributes[] | undefined;

/** The generic person `index` (0 .. {@link PEOPLE_POOL} - 1), always the same one. @throws RangeError outside the pool */
export function genericPerson(index: number): PersonAttributes {
  if (!pool) {
    pool = [];
    const rng = new Rng(20230).split('people');
    while (pool.length < PEOPLE_POOL) {
      const identity: Identity = {
        hairStyle: rng.pick(HAIR_STYLES),
        hairColor: rng.pick(HAIR_COLORS),
        skin: rng.pick(SKIN_TONES),
        glasses: rng.uniform() < 0.4,
        beard: rng.uniform() < 0.35,
      };
      const appearance = sampleAppearance(rng);
      if (!takenIdentities.has(identityKey(identity))) pool.push({ ...identity, ...appearance });
    }
  }
  const person = pool[index];
  if (!person) throw new RangeError(`there is no generic person ${index}; the pool has 0 to ${PEOPLE_POOL - 1}`);
  return person;
}

/** "a person with long red hair and glasses"; identity only. */
export function describePerson(person: Identity): string {
  const extras = [...(person.glasses ? ['glasses'] : []), ...(person.beard ? ['a beard'] : [])];
  if (person.hairStyle === 'bald') return ['a bald person', extras.join(' and ')].filter(Boolean).join(' with ');
  const hair =
    person.hairStyle === 'bun' ? `a ${person.hairColor} bun` : `${person.hairStyle} ${person.hairColor} hair`;
  return `a person with ${[hair, ...extras].join(' and ')}`;
}

/** A function that draws people; the packages are loaded once. */
export type PersonArtist = (person: PersonAttributes) => string;

// A real import(): both packages are ES modules only.
const importDicebear = () => Promise.all([import('@dicebear/core'), import('@dicebear/avataaars')]);

/**
 * Loads DiceBear.
 * @returns person -> SVG document @throws Error saying what to install when a package is missing
 */
export async function loadPersonArtist(): Promise<PersonArtist> {
  const [dicebear, avataaars] = await importDicebear().catch((error: unknown) => {
    throw new Error(
      `people are drawn by the packages @dicebear/core and @dicebear/avataaars; install them with: npm install @dicebear/core @dicebear/avataaars (${String(error)})`,
    );
  });
  return (person) =>
    dicebear
      .createAvatar(avataaars, {
        seed: 'unilab', // every option that the seed would choose is given below
        style: ['default'],
        base: ['default'],
        top: [person.hairStyle === 'bald' ? 'shortFlat' : TOPS[person.hairStyle]],
        topProbability: person.hairStyle === 'bald' ? 0 : 100,
        hairColor: [HAIR[person.hairColor]],
        hatColor: ['262e33'],
        skinColor: [SKIN[person.skin]],
        accessories: ['prescription02'],
        accessoriesProbability: person.glasses ? 100 : 0,
        accessoriesColor: ['1a1a1a'],
        facialHair: ['beardMedium'],
        facialHairProbability: person.beard ? 100 : 0,
        facialHairColor: [HAIR[person.hairColor]],
        clothing: [person.clothing],
        clothesColor: [CLOTHES_COLOURS[person.clothesColor]],
        clothingGraphic: ['diamond'],
        mouth: [person.mouth],
        eyes: [person.eyes],
        eyebrows: ['defaultNatural'],
        nose: ['default'],
        backgroundColor: ['transparent'],
      })
      .toString();
}
