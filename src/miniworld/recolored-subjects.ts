/** Animals and things in colors that are not theirs: what teaches a scorer to tell colors apart. */
import { recoloredSvg } from './concepts';
import { SIZES } from './scene';
import { spriteKey, type SpriteSheet } from './sprites';
import { ANIMALS, ART_STYLES, type ArtStyle, type Color, COLORS, SUBJECT_OBJECTS } from './world';

/** The `style` of a scene item in a color, or in a hue (degrees). */
export const recoloredStyle = (style: ArtStyle, color: Color | number) => `${style}-${color}`;

/** Adds every animal and thing in every style and color to the sheet: 432 drawings. */
export async function addRecoloredSubjects(sprites: SpriteSheet): Promise<void> {
  const size = SIZES.subject;
  const subjects = [...ANIMALS, ...SUBJECT_OBJECTS].flatMap((object) => ART_STYLES.map((style) => ({ object, style })));
  await sprites.add(
    subjects.flatMap(({ object, style }) =>
      COLORS.map((color) => {
        const key = spriteKey({ object, color: null, category: 'subject', style: recoloredStyle(style, color), size });
        return [key, recoloredSvg(object, style, color, size), size] as const;
      }),
    ),
  );
}
