/** Images as codes, each encoded once as long as it lives: epochs over few of them cost one encoding of each. */
import type { Image } from '../../io';
import { encodeInPasses } from '../passes';
import type { MagvitTokenizer } from './image-tokenizer';

export class SeenImages {
  private readonly seen = new WeakMap<Image, Int32Array>();

  /** @param grid of codes that the model sees */
  constructor(
    private readonly magvit: MagvitTokenizer,
    private readonly grid: readonly [rows: number, columns: number],
  ) {}

  /** Codes of each image. @throws RangeError for an image of another size than the model sees */
  encode(images: readonly Image[]): Int32Array[] {
    const [rows, columns] = this.grid;
    const [height, width] = [rows * this.magvit.stride, columns * this.magvit.stride];
    for (const image of images) {
      if (image.width !== width || image.height !== height)
        throw new RangeError(
          `an image is ${image.width} x ${image.height}; this model sees ${width} x ${height}: resize it first`,
        );
    }
    const fresh = [...new Set(images)].filter((image) => !this.seen.has(image));
    const codes = encodeInPasses(fresh, (pixels) => this.magvit.encode(pixels));
    fresh.forEach((image, i) => this.seen.set(image, codes[i]));
    return images.map((image) => this.seen.get(image) as Int32Array);
  }
}
