/** Noise on the image codes that a model reads while it trains. */
import type { Rng } from '../engine';

/** Codes with one bit flipped here and there: codes that differ in one bit look alike, and are to be read alike. */
export function withBitNoise(codes: ArrayLike<number>, bits: number, chance: number, rng: Rng): number[] {
  return Array.from(codes, (code) => (rng.uniform() < chance ? code ^ (1 << rng.int(bits)) : code));
}

/**
 * How much of an image is wrong: `uniform` in [0, 1], or the `cosine` of a uniform angle, as MaskGIT masks (Sec. 3.2):
 * 64% on average, nearly all of it often.
 */
export type WrongShare = 'uniform' | 'cosine';

/**
 * Images whose codes are another image's here and there, at the same places. Behind true codes, all but a figure's first
 * code can be told from the codes before it, so that the caption's words are learned from that one alone; behind wrong
 * ones they are learned from every code.
 * @param chance that an image has wrong codes at all, in [0, 1]
 * @param share how many of its codes are wrong then
 * @param others the other images, of the same places. Default: the given ones
 * @returns as many rows; images without wrong codes are the given ones
 */
export function withWrongCodes(
  images: readonly ArrayLike<number>[],
  chance: number,
  rng: Rng,
  share: WrongShare = 'uniform',
  others = images,
): readonly ArrayLike<number>[] {
  if (chance === 0) return images;
  return images.map((codes) => {
    if (rng.uniform() >= chance) return codes;
    const draw = rng.uniform();
    const wrong = share === 'cosine' ? Math.cos((draw * Math.PI) / 2) : draw;
    const other = rng.pick(others);
    return Array.from(codes, (code, i) => (rng.uniform() < wrong ? other[i] : code));
  });
}
