/**
 * Sampling images, code after code. With guidance every image has two rows, one with the condition and one
 * without, which are given the same codes: logits = unconditional + scale (conditional - unconditional).
 */
import { readValues, type Rng, tf } from '../../engine';
import { checkSampling, drawToken, logProbOf, type SamplingOptions, scoringTemperature } from '../../nn/token-sampling';
import { imageCodes } from './config';
import { Decoder, distinct } from './decoder';
import { unconditionalIds } from './layout';
import type { JanusModel } from './model';

export interface ImageOptions extends SamplingOptions {
  /** 1: no guidance, and half the work. Default 5, as Janus. */
  readonly guidanceScale?: number;
  /** Codes that each image begins with; they are no decisions. */
  readonly forced?: readonly ArrayLike<number>[];
  /** Is given the logits of every step, `[images * codes]` each; unconditional ones only with guidance. */
  readonly observe?: (step: number, logits: StepLogits) => void;
}

export interface StepLogits {
  readonly conditional: Float32Array;
  readonly unconditional?: Float32Array;
  readonly guided: Float32Array;
}

/** One finished image: everything that replay needs. Log-probs are at the temperature, before top-k and top-p. */
export interface ImageSample {
  readonly codes: Int32Array;
  /** log p of each code under the guided mixture that was sampled. */
  readonly guided: Float32Array;
  /** log p of each code given the condition, without guidance. */
  readonly conditional: Float32Array;
  /** 1 where the code was drawn, 0 where it was forced. */
  readonly mask: Uint8Array;
}

/** A batch of images on the way; can be looked at between steps. Dispose it if it is not run to the end. */
export class ImageBatch {
  readonly guidanceScale: number;
  /** Codes so far, -1 where there is none yet. */
  readonly codes: readonly Int32Array[];
  private readonly guided: readonly Float32Array[];
  private readonly conditional: readonly Float32Array[];
  private readonly mask: readonly Uint8Array[];
  private readonly decoder: Decoder;
  private hidden: tf.Tensor2D | undefined;
  private step = 0;

  /**
   * @param prompts ids as `generationIds` lays them out; prompts that are one object (a group's) are read once
   * @param generators one an image: an image does not depend on its neighbors
   * @throws RangeError for sampling options that make no sense
   */
  constructor(
    private readonly model: JanusModel,
    readonly prompts: readonly (readonly number[])[],
    private readonly rngs: readonly Rng[],
    readonly options: ImageOptions = {},
  ) {
    checkSampling(options);
    this.guidanceScale = options.guidanceScale ?? 5;
    if (!Number.isFinite(this.guidanceScale))
      throw new RangeError(`guidanceScale is ${this.guidanceScale}, expected a number; 1 means none`);
    if (options.temperature !== 0 && rngs.length !== prompts.length)
      throw new RangeError(`${prompts.length} images need as many streams, got ${rngs.length}`);
    const count = imageCodes(model.config);
    this.codes = prompts.map(() => new Int32Array(count).fill(-1));
    this.guided = prompts.map(() => new Float32Array(count));
    this.conditional = prompts.map(() => new Float32Array(count));
    this.mask = prompts.map(() => new Uint8Array(count).fill(1));
    this.decoder = new Decoder(model);
  }

  get done(): boolean {
    return this.step >= imageCodes(this.model.config);
  }

  get stepsDone(): number {
    return this.step;
  }

  /** One code for every image. */
  advance(): void {
    if (this.done) return;
    const { model, step } = this;
    const before = this.hidden;
    this.hidden = tf.tidy(() => (before ? this.decoder.next(this.latestCodes()) : this.start()));
    before?.dispose();
    const logits = this.readLogits(this.hidden);
    this.options.observe?.(step, logits);
    const size = model.config.vq.num_embeddings;
    const temperature = scoringTemperature(this.options);
    this.prompts.forEach((_, b) => {
      const forced = this.options.forced?.[b]?.[step];
      const code = forced ?? drawToken(logits.guided, b * size, size, this.options, this.rngs[b]);
      this.codes[b][step] = code;
      this.mask[b][step] = forced === undefined ? 1 : 0;
      this.guided[b][step] = logProbOf(logits.guided, b * size, size, code, temperature);
      this.conditional[b][step] = logProbOf(logits.conditional, b * size, size, code, temperature);
    });
    this.step++;
    if (this.done) this.dispose();
  }

  /** Runs to the end. */
  finish(): ImageSample[] {
    try {
      while (!this.done) this.advance();
    } finally {
      this.dispose();
    }
    return this.codes.map((codes, b) => ({
      codes,
      guided: this.guided[b],
      conditional: this.conditional[b],
      mask: this.mask[b],
    }));
  }

  dispose(): void {
    this.hidden?.dispose();
    this.hidden = undefined;
    this.decoder.dispose();
  }

  private get isGuided(): boolean {
    return this.guidanceScale !== 1;
  }

  /** All conditional rows first, then the unconditional ones. */
  private start(): tf.Tensor2D {
    const { unique, of } = distinct(this.prompts);
    const rows = this.isGuided ? [...unique, ...unique.map((ids) => unconditionalIds(this.model.config, ids))] : unique;
    const places = this.isGuided ? [...of, ...of.map((row) => row + unique.length)] : of;
    const hidden = this.decoder.start(rows);
    this.decoder.select(places);
    return tf.gather(hidden, tf.tensor1d(places, 'int32'));
  }

  private latestCodes(): tf.Tensor3D {
    const codes = this.codes.map((row) => [row[this.step - 1]]);
    return this.model.embedCodes(this.isGuided ? [...codes, ...codes] : codes);
  }

  private readLogits(hidden: tf.Tensor2D): StepLogits {
    const all = readValues(() => this.model.codeLogits(hidden));
    if (!this.isGuided) return { conditional: all, guided: all };
    const half = all.length / 2;
    const [conditional, unconditional] = [all.subarray(0, half), all.subarray(half)];
    const guided = conditional.map((c, i) => unconditional[i] + this.guidanceScale * (c - unconditional[i]));
    return { conditional, unconditional, guided };
  }
}
