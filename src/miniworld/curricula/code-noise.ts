/** Noise on the image codes that a model reads while it trains. */
import type { Rng } from '../../engine';

/** Codes with one bit flipped here and there: codes that differ in one bit look alike, and are to be read alike. */
export function withBitNoise(codes: ArrayLike<number>, bits: number, chance: number, rng: Rng): number[] {
  return Array.from(codes, (code) => (rng.uniform() < chance ? code ^ (1 << rng.int(bits)) : code));
}

/**
 * Images whose codes are another image's here and there, at the same places. Behind true codes, all but a figure's first
 * code can be told from the codes before it, so that the caption's words are learned from that one alone; behind wrong
 * ones they are learned from every code.
 * @param chance that an image has wrong codes at all, in [0, 1]; its share of them is uniform in [0, 1]
 * @returns as many rows; images without wrong codes are the given ones
 */
export function withWrongCodes(
  images: readonly ArrayLike<number>[],
  chance: number,
  rng: Rng,
): readonly ArrayLike<number>[] {
  if (chance === 0) return images;
  return images.map((codes) => {
    if (rng.uniform() >= chance) return codes;
    const share = rng.uniform();
    const other = rng.pick(images);
    return Array.from(codes, (code, i) => (rng.uniform() < share ? other[i] : code));
  });
}
