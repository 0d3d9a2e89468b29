/**
 * `mini_clip`: a CLIP (Radford et al. 2021) of our own, trained on the mini world's training split alone. It stands in
 * for the published ones where images are mini scenes, and is always called by its own name. Frozen once trained.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../io/write-file';
import { readValues, releaseTraced, type Rng, runTraced, tf } from '../../engine';
import { readSafetensors, writeSafetensors } from '../../io';
import { dataFolder } from '../../io/package-root';
import { ParamStore } from '../../nn/store';
import { loadTokenizer, type TextTokenizer } from '../../text';
import { type ImageFeatures, type MiniClipConfig, miniClipConfig, MiniClipNetwork } from './mini-clip/network';

interface MiniClipFile {
  readonly model_type: 'mini-clip';
  readonly config: MiniClipConfig;
}

/** Where the one that ships lies. */
export const MINI_CLIP_FOLDER = 'mini-clip';

/** Images embedded at once. */
const CHUNK = 12;

export { type MiniClipConfig, miniClipConfig, type ImageFeatures } from './mini-clip/network';

export class MiniClip {
  /** Computes with the parameters. */
  readonly net: MiniClipNetwork;

  /** @throws Error when the vocabulary of the text tokenizer is not the one it was trained with */
  constructor(
    readonly config: MiniClipConfig,
    readonly parameters: ParamStore,
    readonly text: TextTokenizer = loadTokenizer(),
  ) {
    if (text.vocabularySize !== config.vocabulary) {
      throw new Error(
        `mini_clip was trained with ${config.vocabulary} words, the tokenizer has ${text.vocabularySize}; train it again: unilab train clip`,
      );
    }
    this.net = new MiniClipNetwork(config).with(parameters);
  }

  /** One that has learned nothing yet. */
  static random(
    rng: Rng,
    text: TextTokenizer = loadTokenizer(),
    config = miniClipConfig(text.vocabularySize),
  ): MiniClip {
    return new MiniClip(config, ParamStore.random(new MiniClipNetwork(config), rng), text);
  }

  /**
   * Loads a folder written by {@link MiniClip.save}; default: the one that ships.
   * @throws Error naming the file that is missing, damaged or of another vocabulary
   */
  static async load(folder: string = dataFolder('checkpoints', MINI_CLIP_FOLDER)): Promise<MiniClip> {
    const file = path.join(folder, 'config.json');
    let found: MiniClipFile;
    try {
      found = JSON.parse(await readFile(file, 'utf8')) as MiniClipFile;
    } catch (error) {
      throw new Error(
        `${file} cannot be read as mini_clip's configuration: ${(error as Error).message}; \`unilab train clip\` makes one`,
        { cause: error },
      );
    }
    if (found.model_type !== 'mini-clip')
      throw new Error(`${file}: model_type is ${JSON.stringify(found.model_type)}, expected "mini-clip"`);
    const weights = path.join(folder, 'model.safetensors');
    const net = new MiniClipNetwork(found.config);
    return new MiniClip(found.config, ParamStore.fromTensors(net, await readSafetensors(weights), weights));
  }

  /** Saves as {@link MiniClip.load} reads, bf16; `config.json` last, so that half a folder is not a checkpoint. */
  async save(folder: string): Promise<void> {
    await writeSafetensors(path.join(folder, 'model.safetensors'), this.parameters.writable('BF16'));
    const file: MiniClipFile = { model_type: 'mini-clip', config: this.config };
    await writeFileAtomic(path.join(folder, 'config.json'), `${JSON.stringify(file, null, 2)}\n`);
  }

  /**
   * Images -> unit vectors `[n, 128]`, the caller's to dispose.
   * @param pixels `[n, 64, 64, 3]` in [-1, 1]
   * @throws RangeError for another shape
   */
  imageFeatures(pixels: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => tf.concat(chunks(pixels).map((part) => this.imagesOf(part))));
  }

  private imagesOf(pixels: tf.Tensor4D): tf.Tensor2D {
    return runTraced(this, 'mini_clip, images', () => this.net.imageEmbeddings(pixels));
  }

  /** Patch features `[n, 64, 128]` and pooled ones `[n, 256]` before the common space; the caller's to dispose. */
  patchFeatures(pixels: tf.Tensor4D): ImageFeatures {
    return this.net.visual.features(pixels);
  }

  /**
   * Captions as ids -> unit vectors `[n, 128]`, the caller's to dispose.
   * @throws RangeError for an empty list, an empty caption, or one of more than `maxTokens` ids
   */
  textFeatures(captions: readonly (readonly number[])[]): tf.Tensor2D {
    // Short, and hardly ever of one length: not worth a function to be compiled.
    return tf.tidy(() => {
      const { ids, present } = this.textBatch(captions);
      return this.net.textEmbeddings(ids, present);
    });
  }

  /** Captions as padded tensors `[n, longest]`: int32 ids, and 1 where a token is. */
  textBatch(captions: readonly (readonly number[])[]): { ids: tf.Tensor2D; present: tf.Tensor2D } {
    if (captions.length === 0) throw new RangeError('mini_clip was given no caption');
    captions.forEach((caption, i) => {
      if (caption.length === 0) throw new RangeError(`caption ${i} is empty`);
      if (caption.length > this.config.maxTokens) {
        throw new RangeError(
          `caption ${i} has ${caption.length} tokens; mini_clip reads at most ${this.config.maxTokens}`,
        );
      }
    });
    const length = Math.max(...captions.map((caption) => caption.length));
    const ids = new Int32Array(captions.length * length);
    captions.forEach((caption, i) => ids.set(caption, i * length));
    const present = Float32Array.from({ length: ids.length }, (_, at) =>
      at % length < captions[Math.floor(at / length)].length ? 1 : 0,
    );
    return {
      ids: tf.tensor2d(ids, [captions.length, length], 'int32'),
      present: tf.tensor2d(present, [captions.length, length]),
    };
  }

  /**
   * Cosine of each image with its text, in [-1, 1].
   * @param pixels `[n, 64, 64, 3]` in [-1, 1]
   * @param texts n captions in the words of the mini world
   * @throws RangeError when there are not as many texts as images; Error naming words it does not know
   */
  similarity(pixels: tf.Tensor4D, texts: readonly string[]): number[] {
    if (pixels.shape[0] !== texts.length)
      throw new RangeError(`there are ${pixels.shape[0]} images and ${texts.length} texts`);
    const encoded = texts.map((text) => this.text.encode(text));
    return Array.from(
      readValues(() => {
        const cosines = tf.sum(tf.mul(this.imageFeatures(pixels), this.textFeatures(encoded)), 1);
        return tf.clipByValue(cosines, -1, 1);
      }),
    );
  }

  dispose(): void {
    releaseTraced(this);
    this.parameters.dispose();
  }
}

function chunks(pixels: tf.Tensor4D): tf.Tensor4D[] {
  const [n] = pixels.shape;
  return Array.from({ length: Math.ceil(n / CHUNK) }, (_, i) =>
    tf.slice(pixels, [i * CHUNK, 0, 0, 0], [Math.min(CHUNK, n - i * CHUNK), -1, -1, -1]),
  );
}
