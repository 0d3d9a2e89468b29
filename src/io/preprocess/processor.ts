/** From images to what a published vision model takes, by the `preprocessor_config.json` that stands beside it. */
import { readFile } from 'node:fs/promises';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { Image } from '../images';
import { centreCrop, padToSquare, targetSize } from './geometry';
import { type ProcessorConfig, ProcessorConfigError } from './config';
import { processorConfigFromUpstream } from './upstream';
import { resampleImage } from './resample';

export class ImageProcessor {
  constructor(readonly config: ProcessorConfig) {}

  /**
   * The processor of a model's folder.
   * @param fallback upstream's class (such as `CLIPImageProcessor`) with its defaults, where the folder has no
   *   `preprocessor_config.json` or the file names no class; default: none
   * @throws ProcessorConfigError for a file that is missing (without `fallback`), broken, or of a class that is not known
   */
  static async fromPretrained(folder: string, fallback?: string): Promise<ImageProcessor> {
    const file = path.join(folder, 'preprocessor_config.json');
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if (fallback !== undefined && (error as NodeJS.ErrnoException).code === 'ENOENT')
        return ImageProcessor.fromUpstream({}, fallback, fallback);
      throw new ProcessorConfigError(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
    }
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (error) {
      throw new ProcessorConfigError(`${file} is not JSON: ${(error as Error).message}`, { cause: error });
    }
    return ImageProcessor.fromUpstream(json, file, fallback);
  }

  /**
   * @param json a parsed `preprocessor_config.json`
   * @param where named in errors
   * @param fallback upstream's class where the file names none
   * @throws ProcessorConfigError listing every field at fault
   */
  static fromUpstream(json: unknown, where: string, fallback?: string): ImageProcessor {
    const { config, faults } = processorConfigFromUpstream(json, fallback);
    if (!config) throw new ProcessorConfigError(`${where} cannot be used:\n  ${faults.join('\n  ')}`);
    return new ImageProcessor(config);
  }

  /** The image resized, cropped and padded; bytes, before numbers are made of them. @throws RangeError for a broken image */
  arrange(image: Image): Image {
    const { size, filter, crop, background } = this.config;
    let out = image;
    if (size) out = resampleImage(out, ...targetSize(out.width, out.height, size), filter);
    if (crop) out = centreCrop(out, crop.width, crop.height);
    return background ? padToSquare(out, background) : out;
  }

  /**
   * @returns `[n, height, width, 3]` float32, the caller's to dispose
   * @throws RangeError for no image, a broken one, or images that come out in several sizes
   */
  process(images: readonly Image[]): tf.Tensor4D {
    if (images.length === 0) throw new RangeError('no images were given');
    const arranged = images.map((image) => this.arrange(image));
    const [{ width, height }] = arranged;
    const size = width * height * 3;
    const out = new Float32Array(arranged.length * size);
    for (const [i, image] of arranged.entries()) {
      if (image.width !== width || image.height !== height) {
        throw new RangeError(
          `image ${i} comes out ${image.width} x ${image.height}, the first ${width} x ${height}; one batch needs one size`,
        );
      }
      this.toNumbers(image.rgb, out.subarray(i * size, (i + 1) * size));
    }
    return tf.tensor4d(out, [arranged.length, height, width, 3]);
  }

  /** Each operation rounds to float32, as upstream's do. */
  private toNumbers(rgb: Uint8Array, out: Float32Array): void {
    const { rescale = 1, normalize } = this.config;
    const tables = [0, 1, 2].map((channel) =>
      Float32Array.from({ length: 256 }, (_, byte) => {
        const value = Math.fround(byte * rescale);
        if (!normalize) return value;
        return Math.fround(value - Math.fround(normalize.mean[channel])) / Math.fround(normalize.std[channel]);
      }),
    );
    for (let i = 0; i < rgb.length; i++) out[i] = tables[i % 3][rgb[i]];
  }
}
