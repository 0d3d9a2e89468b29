/** An image as the tokens that enter a vision transformer: class token, patches, positions. */
import { tf } from '../../../engine';
import { interpolatePositions, type PatchEmbedding } from '../../../nn/patches';

/** How images are cut up. */
export interface ImageGrid {
  /** Height and width of the images that the positions were learned for, in pixels. */
  readonly image: readonly [number, number];
  /** Height and width of a patch, in pixels. */
  readonly patch: readonly [number, number];
  /** Rows and columns of patches in such an image. */
  readonly grid: readonly [number, number];
  readonly channels: number;
  /** Tokens behind the class token that stand for no patch, such as DINOv2's registers. Default 0. */
  readonly registers?: number;
}

export interface TokenParts {
  readonly patches: PatchEmbedding;
  /** `hidden` numbers, in whatever shape upstream keeps them. */
  readonly classToken: tf.Tensor;
  /** `1 + rows * columns` times `hidden` numbers, in whatever shape upstream keeps them. */
  readonly positions: tf.Tensor;
  /** `registers` times `hidden` numbers; they get no position. */
  readonly registers?: tf.Tensor;
}

/** @throws RangeError for patches that are larger than the image */
export function imageGrid(
  image: readonly [number, number],
  patch: readonly [number, number],
  channels: number,
): ImageGrid {
  const grid = image.map((side, i) => Math.floor(side / patch[i])) as [number, number];
  if (grid.includes(0)) throw new RangeError(`an image of ${image.join(' x ')} holds no patch of ${patch.join(' x ')}`);
  return { image, patch, channels, grid };
}

/**
 * @param pixels `[batch, height, width, channels]`
 * @param stretch whether positions are interpolated for images of another size
 * @returns `[batch, 1 + registers + rows * columns, hidden]`
 * @throws RangeError for pixels of another shape, or of another size when positions may not be stretched
 */
export function imageTokens(
  pixels: tf.Tensor4D,
  { patches: embedding, classToken, positions, registers }: TokenParts,
  { image, patch, grid, channels }: ImageGrid,
  stretch: boolean,
): tf.Tensor3D {
  const { shape } = pixels;
  if (shape.length !== 4 || shape[3] !== channels)
    throw new RangeError(`expected pixels [batch, height, width, ${channels}], got [${shape}]`);
  const [batch, height, width] = shape;
  if (!stretch && (height !== image[0] || width !== image[1])) {
    throw new RangeError(
      `expected pixels [batch, ${image[0]}, ${image[1]}, ${channels}], got [${shape}]; other sizes need interpolatePositions`,
    );
  }
  if (height < patch[0] || width < patch[1])
    throw new RangeError(`pixels [${shape}] hold no whole patch of ${patch[0]} x ${patch[1]}`);
  return tf.tidy(() => {
    const patches = embedding.tokens(pixels);
    const hidden = patches.shape[2];
    const first = tf.tile(tf.reshape<tf.Rank.R3>(classToken, [1, 1, hidden]), [batch, 1, 1]);
    const to = [Math.floor(height / patch[0]), Math.floor(width / patch[1])] as const;
    // Upstream antialiases the positions of the models with registers, and of those alone.
    const table = interpolatePositions(tf.reshape<tf.Rank.R2>(positions, [-1, hidden]), grid, to, 1, !!registers);
    const tokens = tf.add<tf.Tensor3D>(tf.concat([first, patches], 1), table);
    if (!registers) return tokens;
    const between = tf.tile(tf.reshape<tf.Rank.R3>(registers, [1, -1, hidden]), [batch, 1, 1]);
    const [own, rest] = tf.split(tokens, [1, tokens.shape[1] - 1], 1);
    return tf.concat<tf.Tensor3D>([own as tf.Tensor3D, between, rest as tf.Tensor3D], 1);
  });
}

/** `[batch, tokens, hidden]` -> its first token, `[batch, hidden]`. */
export function classToken(states: tf.Tensor3D): tf.Tensor2D {
  return tf.tidy(() => tf.squeeze<tf.Tensor2D>(tf.slice(states, [0, 0, 0], [-1, 1, -1]), [1]));
}
