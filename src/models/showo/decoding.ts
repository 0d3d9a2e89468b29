/**
 * Masked decoding as tensors. The texts before the images do not see them: they are computed once, and steps go on from
 * their keys and values. Codes are drawn where their logits are, and only ids and log-probabilities are read.
 */
import { DRAWN, drawTokens, LEFT_OUT, RepeatedStep, tf, tokenLogProbs } from '../../engine';
import { rowsFor } from '../../nn/buckets';
import { distinct } from '../../nn/decoder';
import { Beginnings } from '../../nn/shared-rows';
import type { ImageOptions } from '../unified';
import { beginningRows, imageIds, imagesAttending, textsAttending } from './image-inputs';
import type { ShowoNetwork } from './network';

/** An image on its way, at one step. */
export interface OpenImage {
  readonly condition: readonly number[];
  /** -1 where unknown. */
  readonly codes: Int32Array;
  /** What is drawn by: a number in [0, 1) for each unknown code, in order, or Gumbel noise for the whole codebook each. */
  readonly numbers: Float32Array;
}

/** One image's codes. Those that were known stand as they are; their log p is there if it was asked for. */
export interface DrawnCodes {
  readonly ids: Int32Array;
  /** Of the mixture that was drawn from. */
  readonly logProbs: Float32Array;
  /** Of the distribution whose log p is recorded. */
  readonly recorded: Float32Array;
}

export interface DecodingOptions {
  readonly guidanceScale: number;
  readonly imageLogProbs: NonNullable<ImageOptions['imageLogProbs']>;
  /** Whether log p of known codes is asked for. */
  readonly known: boolean;
}

export class MaskedDecoding {
  private readonly step: RepeatedStep;
  private readonly conditions: readonly (readonly number[])[];
  private begun: { readonly texts: readonly (readonly number[])[]; readonly held: Beginnings } | undefined;

  /**
   * @param conditions of the images that it begins with, as ids. Those that have one array in common share its computation
   * @param options as sampled
   */
  constructor(
    private readonly network: ShowoNetwork,
    conditions: readonly (readonly number[])[],
    private readonly options: DecodingOptions,
  ) {
    this.images = conditions.length;
    this.conditions = distinct(conditions).unique;
    this.step = new RepeatedStep(network, 'masked decoding step', (given) => this.computed(given));
  }

  /** Images that it began with. */
  private readonly images: number;

  /**
   * One forward pass.
   * @param images some of those that it began with
   * @param first whether all codes of all images are unknown: then those of one text are one row, and so are all that have
   *   theirs dropped
   */
  draw(images: readonly OpenImage[], first: boolean): DrawnCodes[] {
    const inputs = tf.tidy(() => this.inputs(images, first));
    try {
      const drawn = this.step.run(inputs);
      try {
        return this.read(images, drawn.dataSync<'float32'>());
      } finally {
        drawn.dispose();
      }
    } finally {
      tf.dispose(inputs);
    }
  }

  dispose(): void {
    this.step.forget();
    this.begun?.held.dispose();
    this.begun = undefined;
  }

  private get guided(): boolean {
    return this.options.guidanceScale !== 1;
  }

  /** Keys and values of the texts: as many as images, so that there is one shape for any of them. */
  private begin() {
    const { config, layers } = this.network;
    const texts = beginningRows(config, this.conditions, this.guided, this.images);
    const held = new Beginnings();
    try {
      tf.tidy(() => {
        const ids = tf.tensor2d(Int32Array.from(texts.flat()), [texts.length, texts[0].length], 'int32');
        layers.hidden(ids, { ...textsAttending(config, texts), holds: held });
      });
    } catch (error) {
      held.dispose();
      throw error;
    }
    return { texts, held };
  }

  /** What varies from step to step. */
  private inputs(images: readonly OpenImage[], first: boolean): tf.Tensor[] {
    const { config } = this.network;
    const { texts } = (this.begun ??= this.begin());
    // As many rows as at the beginning, or a half or a quarter of them: three shapes, however images are thinned out.
    const count = rowsFor(images.length, this.images);
    const all = [...images, ...Array.from({ length: count - images.length }, () => images[0])];
    const of = all.map(({ condition }) => this.conditions.indexOf(condition));
    const dropped = texts.length - 1;
    const owner = first ? texts.map((_, i) => i) : this.guided ? [...of, ...of.map(() => dropped)] : of;
    const codes = all.map((image) => imageIds(config, image.codes));
    const rows = first ? owner.map(() => codes[0]) : this.guided ? [...codes, ...codes] : codes;
    const places = (rowOf: (image: number) => number) =>
      all.flatMap((_, b) => Array.from(all[b].codes, (_, i) => rowOf(b) * rows[0].length + 1 + i));
    const at = places((b) => (first ? of[b] : b));
    if (this.guided) at.push(...places((b) => (first ? dropped : count + b)));
    const { mask, tables } = imagesAttending(config, texts, owner);
    return [
      tf.tensor2d(Int32Array.from(rows.flat()), [rows.length, rows[0].length], 'int32'),
      tf.tensor1d(owner, 'int32'),
      tf.tensor1d(at, 'int32'),
      tf.tensor1d(this.given(images, count), 'int32'),
      this.numbers(images, count),
      mask,
      tables.cos,
      tables.sin,
      tables.swap,
    ];
  }

  /** What is asked for, place by place. */
  private given(images: readonly OpenImage[], count: number): Int32Array {
    const { num_vq_tokens: n } = this.network.config;
    const given = new Int32Array(count * n).fill(LEFT_OUT);
    images.forEach(({ codes }, b) =>
      codes.forEach((code, i) => (given[b * n + i] = code < 0 ? DRAWN : this.options.known ? code : LEFT_OUT)),
    );
    return given;
  }

  private numbers(images: readonly OpenImage[], count: number): tf.Tensor {
    const { num_vq_tokens: n, codebook_size } = this.network.config;
    const [{ codes, numbers }] = images;
    const width = numbers.length > codes.filter((code) => code < 0).length ? codebook_size : 1;
    const values = new Float32Array(count * n * width);
    images.forEach((image, b) => {
      let open = 0;
      image.codes.forEach((code, i) => {
        if (code >= 0) return;
        values.set(image.numbers.subarray(open * width, (open + 1) * width), (b * n + i) * width);
        open++;
      });
    });
    return tf.tensor(values, width === 1 ? [count * n] : [count * n, width]);
  }

  /** A function of tensors. @returns `[2, places]`: ids and log p */
  private computed(given: readonly tf.Tensor[]): tf.Tensor {
    const { begun, network } = this;
    if (!begun) throw new Error('a step has no texts before it');
    const { guidanceScale, imageLogProbs } = this.options;
    const [ids, owner, at, asked, numbers, mask, cos, sin, swap] = given;
    const tables = { cos, sin, swap: swap as tf.Tensor2D };
    const rows = { mask: mask as tf.Tensor4D, tables, begun: begun.held, owner: owner as tf.Tensor1D };
    const logits = network.codeLogits(network.layers.hiddenAt(ids as tf.Tensor2D, rows, at as tf.Tensor1D));
    const drawn = drawTokens(logits, asked as tf.Tensor1D, numbers, guidanceScale);
    if (imageLogProbs === 'guided' || !this.guided) return drawn;
    const n = asked.size;
    const chosen = tf.slice(drawn, [0, 0], [1, n]);
    const conditional = tokenLogProbs(
      tf.slice(logits, [0, 0], [n, -1]),
      tf.cast(tf.reshape<tf.Rank.R1>(chosen, [n]), 'int32'),
    );
    // Positions are judged by what they were drawn from, and recorded with the conditional half's.
    return tf.concat([drawn, tf.reshape(conditional, [1, n])], 0);
  }

  private read(images: readonly OpenImage[], drawn: Float32Array): DrawnCodes[] {
    const { num_vq_tokens: n } = this.network.config;
    const places = rowsFor(images.length, this.images) * n;
    const row = (k: number, b: number) => drawn.slice(k * places + b * n, k * places + (b + 1) * n);
    return images.map(({ codes }, b) => {
      const found = row(0, b);
      const logProbs = row(1, b);
      const recorded = drawn.length > 2 * places ? row(2, b) : logProbs;
      return { ids: codes.map((code, i) => (code < 0 ? found[i] : code)), logProbs, recorded };
    });
  }
}
