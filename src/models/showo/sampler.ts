/**
 * Sampling images: a batch of MaskGIT decodings that can be stopped after any step, looked at, thinned out and
 * carried on (which is what Sync-GRPO's early selection needs), and that records every transition for replay.
 */
import type { Rng } from '../../engine';
import type { ImageOptions, ImageSampler, ImageSegment } from '../unified';
import { imageGrid } from './config';
import { type DrawnCodes, MaskedDecoding } from './decoding';
import { conditionTokens } from './layout';
import { maskCount, type MaskSchedule, maskTemperature, remask, type TemperatureMode } from './maskgit';
import type { ShowoNetwork } from './network';
import type { ImageTransition } from './policy';

export interface ShowoImageOptions extends ImageOptions {
  /** s of `uncond + s (cond - uncond)`. Default 3. Show-o prints w = s - 1 of (1 + w) cond - w uncond. */
  readonly guidanceScale?: number;
  /** MaskGIT steps T. Default 8 (Show-o uses 18 to 50). */
  readonly steps?: number;
  /** Of the noise that re-masking adds to the confidence; codes are drawn at temperature 1. Default 1. */
  readonly temperature?: number;
  /** Default `linear`. */
  readonly temperatureMode?: TemperatureMode;
  /** Default `cosine`. */
  readonly schedule?: MaskSchedule;
}

type Settings = Required<Omit<ShowoImageOptions, 'topK' | 'topP'>>;

/** The random numbers of an image; by default they come from its generator. Tests supply their own. */
export interface Draws {
  /**
   * What the codes of a step are drawn by.
   * @param open positions of the unknown codes
   * @returns a number in [0, 1) for each of them, or Gumbel noise for the whole codebook each, `[open * codebook]`
   */
  codes(image: number, step: number, open: readonly number[]): Float32Array;
  /** Of re-masking: standard Gumbel, one a position. */
  noise(image: number, step: number, positions: number): ArrayLike<number>;
}

/** An image to be drawn: the ids of its prompt, and what it draws from. No image depends on its neighbors. */
export interface ImageRequest {
  readonly condition: readonly number[];
  readonly draws: Rng | Draws;
}

/** One image on its way. */
interface ImageState {
  readonly condition: readonly number[];
  readonly draws: Draws;
  /** Its place in the batch that it began in: what {@link Draws} know it by. */
  readonly place: number;
  /** Codes so far, -1 where unknown. */
  readonly codes: Int32Array;
  /** The prediction of all positions at the last step. */
  readonly predicted: Int32Array;
  readonly transitions: readonly ImageTransition[];
}

export class ShowoImageSampler implements ImageSampler<ImageTransition> {
  private images: ImageState[];
  private done_ = 0;
  private temperature: number;
  private closed = false;

  private constructor(
    private readonly network: ShowoNetwork,
    images: readonly ImageState[],
    private readonly settings: Settings,
    private readonly decoding: MaskedDecoding,
  ) {
    this.images = [...images];
    this.temperature = settings.temperature;
  }

  /** @throws RangeError for options out of range; PromptTooLongError when a prompt does not fit the layout */
  static start(
    network: ShowoNetwork,
    requests: readonly ImageRequest[],
    options: ShowoImageOptions = {},
  ): ShowoImageSampler {
    const settings = settingsOf(options);
    const n = network.config.num_vq_tokens;
    const images = requests.map(({ condition, draws }, place): ImageState => {
      conditionTokens(network.config, condition); // too long a prompt is said before any work
      return {
        condition,
        draws: 'codes' in draws ? draws : drawsOf(draws),
        place,
        codes: new Int32Array(n).fill(-1),
        predicted: new Int32Array(n),
        transitions: [],
      };
    });
    const { guidanceScale, imageLogProbs, scored } = settings;
    const conditions = images.map(({ condition }) => condition);
    const decoding = new MaskedDecoding(network, conditions, { guidanceScale, imageLogProbs, known: scored === 'all' });
    return new ShowoImageSampler(network, images, settings, decoding);
  }

  get steps(): number {
    return this.settings.steps;
  }

  get stepsDone(): number {
    return this.done_;
  }

  get done(): boolean {
    return this.done_ >= this.steps;
  }

  /** Codes so far, -1 where unknown. */
  get codes(): readonly Int32Array[] {
    return this.images.map(({ codes }) => codes);
  }

  /** The prediction of all positions at the last step: what each image would be if it stopped now. */
  get predicted(): readonly Int32Array[] {
    return this.images.map(({ predicted }) => predicted);
  }

  /** What was decided so far, image by image. */
  get transitions(): readonly (readonly ImageTransition[])[] {
    return this.images.map(({ transitions }) => transitions);
  }

  /** One MaskGIT step for every image of the batch. */
  step(): void {
    if (this.closed) throw new Error('this sampler was thinned out or disposed: go on with the one that select gave');
    if (this.done) throw new RangeError(`all ${this.steps} steps are done`);
    if (this.images.length > 0) {
      const { temperature, temperatureMode, steps } = this.settings;
      const noise = maskTemperature(temperature, this.temperature, this.done_, steps, temperatureMode);
      this.images = this.decide(this.draw(), noise);
      this.temperature = noise;
    }
    this.done_++;
    if (this.done) this.decoding.dispose();
  }

  select(indices: readonly number[]): ShowoImageSampler {
    const wrong = indices.find((i, at) => !(i in this.images) || indices.indexOf(i) !== at);
    if (wrong !== undefined)
      throw new RangeError(`image ${wrong} is selected; each of 0..${this.images.length - 1} can be, once`);
    const part = new ShowoImageSampler(
      this.network,
      indices.map((i) => this.images[i]),
      this.settings,
      this.decoding,
    );
    part.done_ = this.done_;
    part.temperature = this.temperature;
    this.closed = true;
    return part;
  }

  finish(): ImageSegment<ImageTransition>[] {
    try {
      while (!this.done) this.step();
    } finally {
      this.dispose();
    }
    const grid = imageGrid(this.network.config);
    return this.images.map(({ codes, transitions }) => ({ name: 'generation', codes, grid, transitions }));
  }

  /** It cannot be stepped any more. What it held is the other one's, where it was thinned out. */
  dispose(): void {
    if (!this.closed) this.decoding.dispose();
    this.closed = true;
  }

  private draw(): DrawnCodes[] {
    const images = this.images.map(({ condition, codes, draws, place }) => {
      const open = [...codes.keys()].filter((i) => codes[i] < 0);
      return { condition, codes, numbers: draws.codes(place, this.done_, open) };
    });
    return this.decoding.draw(images, this.done_ === 0);
  }

  /** Masks the least certain codes again, and records the transition. */
  private decide(drawn: readonly DrawnCodes[], noise: number): ImageState[] {
    return this.images.map((image, b): ImageState => {
      const { ids, logProbs, recorded } = drawn[b];
      const n = ids.length;
      const known = image.codes.map((code) => (code >= 0 ? 1 : 0));
      const unknown = known.filter((is) => !is).length;
      const count = maskCount(unknown, n, this.done_, this.steps, this.settings.schedule);
      const gumbel = image.draws.noise(image.place, this.done_, n);
      const { masked } = remask(logProbs.map(Math.exp), known, count, noise, gumbel);
      const last = this.done_ === this.steps - 1;
      const codes = last ? ids : ids.map((code, i) => (masked[i] ? -1 : code));
      return {
        ...image,
        codes,
        predicted: ids,
        transitions: [...image.transitions, this.record(image, ids, recorded, codes)],
      };
    });
  }

  private record(image: ImageState, ids: Int32Array, scores: Float32Array, after: Int32Array): ImageTransition {
    const { scored, guidanceScale, imageLogProbs } = this.settings;
    const { codes: before, condition } = image;
    const decided = (i: number) => scored === 'all' || (before[i] < 0 && (scored === 'masked' || after[i] >= 0));
    const actionMask = Uint8Array.from(ids, (_, i) => (decided(i) ? 1 : 0));
    return {
      segment: 'generation',
      condition,
      inputIds: before,
      sampledIds: ids,
      logProbs: scores.map((score, i) => (actionMask[i] ? score : 0)),
      actionMask,
      guidanceScale,
      imageLogProbs,
    };
  }
}

/** @throws RangeError naming the option, its value and what was expected */
function settingsOf({ topK, topP, ...options }: ShowoImageOptions): Settings {
  if (topK !== undefined || (topP !== undefined && topP !== 1))
    throw new RangeError('Show-o draws the codes of a step from the whole codebook: it has no topK and no topP');
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const settings: Settings = {
    steps: 8,
    guidanceScale: 3,
    temperature: 1,
    temperatureMode: 'linear',
    schedule: 'cosine',
    imageLogProbs: 'guided',
    scored: 'all',
    ...given,
  };
  const { steps, guidanceScale, temperature } = settings;
  if (!Number.isInteger(steps) || steps < 1) throw new RangeError(`steps must be a positive integer, got ${steps}`);
  if (!Number.isFinite(guidanceScale)) throw new RangeError(`guidanceScale is ${guidanceScale}, expected a number`);
  if (!(temperature >= 0 && temperature < Infinity))
    throw new RangeError(`temperature is ${temperature}, expected 0 or above`);
  return settings;
}

function drawsOf(rng: Rng): Draws {
  return {
    codes: (_image, _step, open) => rng.uniform(open.length),
    noise: (_image, _step, positions) => rng.gumbel(positions),
  };
}
