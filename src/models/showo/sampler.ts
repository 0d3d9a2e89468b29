/**
 * Sampling images: a batch of MaskGIT decodings that can be stopped after any step, looked at, thinned out and
 * carried on (which is what Sync-GRPO's early selection needs), and that records every transition for replay.
 */
import { logSoftmax, readValues, type Rng } from '../../engine';
import { conditionTokens, textToImageIds } from './layout';
import { drawIndex, maskCount, type MaskSchedule, maskTemperature, remask, type TemperatureMode } from './maskgit';
import type { ShowoModel } from './model';

export interface ImageOptions {
  /** MaskGIT steps T. Default 8 (Show-o uses 18 to 50). */
  readonly steps?: number;
  /** w of (1 + w) conditional - w unconditional. Default 2. 0: no guidance. */
  readonly guidanceScale?: number;
  /** Of the noise that re-masking adds to the confidence. Default 1. */
  readonly temperature?: number;
  /** Default `linear`. */
  readonly temperatureMode?: TemperatureMode;
  /** Default `cosine`. */
  readonly schedule?: MaskSchedule;
}

/** One step of one image: everything that replay needs. */
export interface Transition {
  /** Codes before the step, -1 where unknown, `[codes]`. */
  readonly before: Int32Array;
  /** The id drawn at every position; known ones keep theirs, `[codes]`. */
  readonly chosen: Int32Array;
  /** log p(chosen) under the (guided) distribution that was sampled, `[codes]`. */
  readonly logProbs: Float32Array;
  /** 1 where the id was unknown before and stays after this step, `[codes]`. */
  readonly committed: Uint8Array;
}

/** Chooses an id and gives the re-masking noise; the default draws from the image's stream. Tests supply their own. */
export interface Draws {
  choose(image: number, step: number, position: number, logProbs: Float32Array, from: number, count: number): number;
  noise(image: number, step: number, positions: number): ArrayLike<number>;
}

/** A batch of images on the way from all-masked to done. */
export class ImageBatch {
  readonly options: Required<ImageOptions>;
  /** Codes so far, -1 where unknown. */
  codes: Int32Array[];
  /** The prediction of all positions at the last step: what the image would be if it stopped now. */
  predicted: Int32Array[];
  readonly transitions: Transition[][];
  private step = 0;
  private temperature: number;

  /**
   * @param conditions text ids of each image
   * @param draws one stream an image (an image does not depend on its neighbors), or explicit draws
   * @throws PromptTooLongError when a text does not fit the layout
   */
  constructor(
    private readonly model: ShowoModel,
    readonly conditions: readonly (readonly number[])[],
    private readonly draws: readonly Rng[] | Draws,
    options: ImageOptions = {},
  ) {
    this.options = {
      steps: 8,
      guidanceScale: 2,
      temperature: 1,
      temperatureMode: 'linear',
      schedule: 'cosine',
      ...options,
    };
    if (!Number.isInteger(this.options.steps) || this.options.steps < 1)
      throw new RangeError(`steps must be a positive integer, got ${this.options.steps}`);
    const n = model.config.num_vq_tokens;
    this.codes = conditions.map(() => new Int32Array(n).fill(-1));
    this.predicted = conditions.map(() => new Int32Array(n));
    this.transitions = conditions.map(() => []);
    this.temperature = this.options.temperature;
    for (const text of conditions) conditionTokens(model.config, text); // too long a prompt is said before any work
  }

  get done(): boolean {
    return this.step >= this.options.steps;
  }

  get stepsDone(): number {
    return this.step;
  }

  /** One MaskGIT step for every image of the batch. */
  advance(): void {
    const { model, options } = this;
    const n = model.config.num_vq_tokens;
    const size = model.config.codebook_size;
    const rows = this.conditions.map((text, b) =>
      textToImageIds(model.config, conditionTokens(model.config, text), this.codes[b]),
    );
    const logProbs = readValues(() => logSoftmax(model.imageLogits(rows, this.dropped(), options.guidanceScale)));
    const s = this.step;
    this.temperature = maskTemperature(
      options.temperature,
      this.temperature,
      s,
      options.steps,
      options.temperatureMode,
    );
    for (let b = 0; b < rows.length; b++) {
      const before = this.codes[b];
      const chosen = new Int32Array(n);
      const chosenLogProbs = new Float32Array(n);
      let unknown = 0;
      for (let i = 0; i < n; i++) {
        const from = (b * n + i) * size;
        if (before[i] < 0) unknown++;
        chosen[i] = before[i] >= 0 ? before[i] : this.choose(b, s, i, logProbs, from, size);
        chosenLogProbs[i] = logProbs[from + chosen[i]];
      }
      const last = s === options.steps - 1;
      const known = Uint8Array.from(before, (code) => (code >= 0 ? 1 : 0));
      const count = maskCount(unknown, n, s, options.steps, options.schedule);
      const { masked } = remask(chosenLogProbs.map(Math.exp), known, count, this.temperature, this.noise(b, s, n));
      const after = last ? chosen : chosen.map((code, i) => (masked[i] ? -1 : code));
      const committed = Uint8Array.from(after, (code, i) => (code >= 0 && !known[i] ? 1 : 0));
      this.transitions[b].push({ before, chosen, logProbs: chosenLogProbs, committed });
      this.codes[b] = after;
      this.predicted[b] = chosen;
    }
    this.step++;
  }

  /** The images at `indices`, ready to be carried on; this batch must not be used for them any more. */
  subset(indices: readonly number[]): ImageBatch {
    const at = <T>(list: readonly T[]) => indices.map((i) => list[i]);
    const draws = Array.isArray(this.draws) ? at(this.draws as Rng[]) : this.draws;
    const part = new ImageBatch(this.model, at(this.conditions), draws, this.options);
    part.codes = at(this.codes);
    part.predicted = at(this.predicted);
    part.transitions.splice(0, indices.length, ...at(this.transitions));
    part.step = this.step;
    part.temperature = this.temperature;
    return part;
  }

  /** Runs to the end. @returns the finished codes */
  finish(): Int32Array[] {
    while (!this.done) this.advance();
    return this.codes;
  }

  private dropped(): number[][] {
    const none = conditionTokens(this.model.config, null);
    return this.options.guidanceScale > 0
      ? this.codes.map((codes) => textToImageIds(this.model.config, none, codes))
      : [];
  }

  private choose(
    b: number,
    step: number,
    position: number,
    logProbs: Float32Array,
    from: number,
    count: number,
  ): number {
    if (!Array.isArray(this.draws)) return (this.draws as Draws).choose(b, step, position, logProbs, from, count);
    return drawIndex(logProbs, from, count, (this.draws as Rng[])[b].uniform());
  }

  private noise(b: number, step: number, positions: number): ArrayLike<number> {
    return Array.isArray(this.draws)
      ? (this.draws as Rng[])[b].gumbel(positions)
      : (this.draws as Draws).noise(b, step, positions);
  }
}
