/** Animals and things in colors that are not theirs: what teaches a judge to tell coats apart. */
import { coatSvg } from './concepts';
import { SIZES } from './scene';
import { spriteKey, type SpriteSheet } from './sprites';
import { ANIMALS, ART_STYLES, type ArtStyle, type Color, COLOURS, THINGS } from './world';

/** The `style` of a scene item in a coat. */
export const coatOf = (style: ArtStyle, color: Color) => `${style}-${color}`;

/** Adds every animal and thing in every style and coat to the sheet: 432 drawings. */
export async function addCoats(sprites: SpriteSheet): Promise<void> {
  const size = SIZES.creature;
  const subjects = [...ANIMALS, ...THINGS].flatMap((object) => ART_STYLES.map((style) => ({ object, style })));
  await sprites.add(
    subjects.flatMap(({ object, style }) =>
      COLOURS.map((color) => {
        const key = spriteKey({ object, color: null, category: 'creature', style: coatOf(style, color), size });
        return [key, coatSvg(object, style, color, size), size] as const;
      }),
    ),
  );
}
