/**
 * Masked decoding as tensors. The texts before the images do not see them: they are computed once, and steps go on from
 * their keys and values. Codes are drawn where their logits are, and only ids and log-probabilities are read.
 */
import { DRAWN, drawRecorded, LEFT_OUT, RepeatedStep, tf } from '../../engine';
import { evenPart, partsOf, rowsFor } from '../../nn/buckets';
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

/** Images of a pass. More are drawn part after part: as fast, and one shape serves however many there are. */
const MOST = 12;

/** The different texts of images, with guidance the dropped one last, and their keys and values. */
interface Texts {
  readonly conditions: readonly (readonly number[])[];
  readonly rows: readonly (readonly number[])[];
  readonly held: Beginnings;
}

export class MaskedDecoding {
  private readonly conditions: readonly (readonly number[])[];
  private readonly parts: readonly DecodingPart[];
  private readonly size: number;
  private texts: Texts | undefined;

  /**
   * @param conditions of the images that it begins with, as ids. Those that have one array in common share its computation
   * @param options as sampled
   */
  constructor(
    private readonly network: ShowoNetwork,
    conditions: readonly (readonly number[])[],
    private readonly options: DecodingOptions,
  ) {
    this.conditions = distinct(conditions).unique;
    this.size = conditions.length > 0 ? evenPart(conditions.length, MOST) : 1;
    const sizes = { images: this.size, whole: conditions.length > this.size };
    this.parts = partsOf(conditions, this.size).map(() => new DecodingPart(network, options, sizes));
  }

  /**
   * One forward pass.
   * @param images some of those that it began with
   * @param first whether all codes of all images are unknown: then those of one text are one row, and so are all that have
   *   theirs dropped
   */
  draw(images: readonly OpenImage[], first: boolean): DrawnCodes[] {
    const texts = (this.texts ??= this.begin());
    const parts = partsOf(images, this.size);
    for (const part of this.parts.slice(parts.length)) part.dispose(); // whose images were left out
    return parts.flatMap((part, i) => this.parts[i].draw(texts, part, first));
  }

  dispose(): void {
    for (const part of this.parts) part.dispose();
    this.texts?.held.dispose();
    this.texts = undefined;
  }

  private begin(): Texts {
    const { config, layers } = this.network;
    const { conditions } = this;
    const rows = beginningRows(config, conditions, this.options.guidanceScale !== 1, conditions.length);
    const held = new Beginnings();
    try {
      tf.tidy(() => {
        const ids = tf.tensor2d(Int32Array.from(rows.flat()), [rows.length, rows[0].length], 'int32');
        layers.hidden(ids, { ...textsAttending(config, rows), holds: held });
      });
    } catch (error) {
      held.dispose();
      throw error;
    }
    return { conditions, rows, held };
  }
}

/** Images that are drawn in one pass, and the texts before them. */
class DecodingPart {
  private readonly step: RepeatedStep;
  private own: Texts | undefined;

  /** @param sizes images of a pass; `whole`: always as many, for they are a part of more */
  constructor(
    private readonly network: ShowoNetwork,
    private readonly options: DecodingOptions,
    private readonly sizes: { readonly images: number; readonly whole: boolean },
  ) {
    this.step = new RepeatedStep(network, 'masked decoding step', (given) => this.computed(given));
  }

  /** @param texts of all images @param images of this part; other ones than before where some were left out */
  draw(texts: Texts, images: readonly OpenImage[], first: boolean): DrawnCodes[] {
    const own = this.textsOf(texts, images);
    const inputs = tf.tidy(() => this.inputs(own, images, first));
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
    this.own?.held.dispose();
    this.own = undefined;
  }

  private get guided(): boolean {
    return this.options.guidanceScale !== 1;
  }

  /** Images that are computed: all, or a half or a quarter where they were thinned out. */
  private count(images: readonly OpenImage[]): number {
    const { images: all, whole } = this.sizes;
    return whole ? all : rowsFor(images.length, all);
  }

  /** Texts of these images: as many as images, so that there is one shape for any of them. */
  private textsOf(all: Texts, images: readonly OpenImage[]): Texts {
    const { own, guided } = this;
    const { unique } = distinct(images.map(({ condition }) => condition));
    if (own && unique.every((condition) => own.conditions.includes(condition))) return own;
    this.dispose();
    const which = unique.map((condition) => all.conditions.indexOf(condition));
    const last = all.rows.length - 1;
    while (which.length < this.sizes.images) which.push(last);
    if (guided) which.push(last);
    return (this.own = { conditions: unique, rows: which.map((i) => all.rows[i]), held: all.held.rows(which) });
  }

  /** What varies from step to step. */
  private inputs({ conditions, rows: texts }: Texts, images: readonly OpenImage[], first: boolean): tf.Tensor[] {
    const { config } = this.network;
    const count = this.count(images);
    const all = [...images, ...Array.from({ length: count - images.length }, () => images[0])];
    const of = all.map(({ condition }) => conditions.indexOf(condition));
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

  /** A function of tensors. @returns see `drawRecorded`, place by place */
  private computed(given: readonly tf.Tensor[]): tf.Tensor {
    const { own, network } = this;
    if (!own) throw new Error('a step has no texts before it');
    const { guidanceScale, imageLogProbs } = this.options;
    const [ids, owner, at, asked, numbers, mask, cos, sin, swap] = given;
    const tables = { cos, sin, swap: swap as tf.Tensor2D };
    const rows = { mask: mask as tf.Tensor4D, tables, begun: own.held, owner: owner as tf.Tensor1D };
    const logits = network.codeLogits(network.layers.hiddenAt(ids as tf.Tensor2D, rows, at as tf.Tensor1D));
    // Positions are judged by what they were drawn from, whatever is recorded.
    return drawRecorded(logits, asked as tf.Tensor1D, numbers, guidanceScale, imageLogProbs);
  }

  private read(images: readonly OpenImage[], drawn: Float32Array): DrawnCodes[] {
    const { num_vq_tokens: n } = this.network.config;
    const places = this.count(images) * n;
    const row = (k: number, b: number) => drawn.slice(k * places + b * n, k * places + (b + 1) * n);
    return images.map(({ codes }, b) => {
      const found = row(0, b);
      const logProbs = row(1, b);
      const recorded = drawn.length > 2 * places ? row(2, b) : logProbs;
      return { ids: codes.map((code, i) => (code < 0 ? found[i] : code)), logProbs, recorded };
    });
  }
}
