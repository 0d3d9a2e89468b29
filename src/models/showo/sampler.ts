/**
 * Sampling images: a batch of MaskGIT decodings that can be stopped after any step, looked at, thinned out and
 * carried on (which is what Sync-GRPO's early selection needs), and that records every transition for replay.
 */
import { logSoftmax, type Rng, tf, tokenLogProbs, runTraced } from '../../engine';
import { rowsFor } from '../../nn/buckets';
import type { ImageOptions, ImageSampler, ImageSegment } from '../unified';
import { imageGrid } from './config';
import { drawnInputs, everyCode } from './image-inputs';
import { conditionTokens } from './layout';
import { drawIndex, maskCount, type MaskSchedule, maskTemperature, remask, type TemperatureMode } from './maskgit';
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

/** Chooses a code and gives the re-masking noise; the default draws from the image's generator. Tests supply their own. */
export interface Draws {
  choose(image: number, step: number, position: number, logProbs: Float32Array, from: number, count: number): number;
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

/** What one forward pass says of a batch, `[images * codes, codebook]`. */
interface Distributions {
  /** log p of the mixture that codes are drawn from. */
  readonly logProbs: Float32Array;
  /** Kept where the conditional half is recorded. */
  readonly conditional?: tf.Tensor2D;
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
    /** Images of the batch that this one comes from. */
    private readonly begun = images.length,
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
        draws: 'choose' in draws ? draws : drawsOf(draws),
        place,
        codes: new Int32Array(n).fill(-1),
        predicted: new Int32Array(n),
        transitions: [],
      };
    });
    return new ShowoImageSampler(network, images, settings);
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
      const distributions = this.forward();
      try {
        this.images = this.decide(distributions, noise);
      } finally {
        distributions.conditional?.dispose();
      }
      this.temperature = noise;
    }
    this.done_++;
  }

  select(indices: readonly number[]): ShowoImageSampler {
    const wrong = indices.find((i, at) => !(i in this.images) || indices.indexOf(i) !== at);
    if (wrong !== undefined)
      throw new RangeError(`image ${wrong} is selected; each of 0..${this.images.length - 1} can be, once`);
    const part = new ShowoImageSampler(
      this.network,
      indices.map((i) => this.images[i]),
      this.settings,
      this.begun,
    );
    part.done_ = this.done_;
    part.temperature = this.temperature;
    this.closed = true;
    return part;
  }

  finish(): ImageSegment<ImageTransition>[] {
    while (!this.done) this.step();
    const grid = imageGrid(this.network.config);
    return this.images.map(({ codes, transitions }) => ({ name: 'generation', codes, grid, transitions }));
  }

  /** Nothing is held between steps; it cannot be stepped any more. */
  dispose(): void {
    this.closed = true;
  }

  private forward(): Distributions {
    const { config } = this.network;
    const { guidanceScale, imageLogProbs } = this.settings;
    // As many rows as at the beginning, or a half or a quarter of them: three shapes, however images are thinned out.
    const rows = rowsFor(this.images.length, this.begun);
    const places = everyCode(rows, config.num_vq_tokens);
    const [logProbs, conditional] = runTraced(this.network, 'masked decoding step', () => {
      const inputs = drawnInputs(config, this.images, guidanceScale !== 1, places, { rows });
      const logits = this.network.imageLogits(inputs, guidanceScale);
      const conditional = imageLogProbs === 'conditional' ? logits.conditional : undefined;
      return [logSoftmax(logits.guided), ...(conditional ? [conditional] : [])];
    }) as [tf.Tensor2D, tf.Tensor2D?];
    try {
      return { logProbs: logProbs.dataSync<'float32'>(), conditional };
    } catch (error) {
      conditional?.dispose();
      throw error;
    } finally {
      logProbs.dispose();
    }
  }

  /** Draws every image's codes, masks the least certain again, and records the transition. */
  private decide({ logProbs, conditional }: Distributions, noise: number): ImageState[] {
    const drawn = this.images.map((image, b) => this.draw(image, b, logProbs));
    const recorded =
      conditional &&
      scoresOf(
        conditional,
        drawn.map(({ ids }) => ids),
      );
    return this.images.map((image, b): ImageState => {
      const { ids, scores } = drawn[b];
      const n = ids.length;
      const known = image.codes.map((code) => (code >= 0 ? 1 : 0));
      const unknown = known.filter((is) => !is).length;
      const count = maskCount(unknown, n, this.done_, this.steps, this.settings.schedule);
      const gumbel = image.draws.noise(image.place, this.done_, n);
      const { masked } = remask(scores.map(Math.exp), known, count, noise, gumbel);
      const last = this.done_ === this.steps - 1;
      const codes = last ? ids : ids.map((code, i) => (masked[i] ? -1 : code));
      const own = recorded ? recorded.subarray(b * n, (b + 1) * n) : scores;
      return {
        ...image,
        codes,
        predicted: ids,
        transitions: [...image.transitions, this.record(image, ids, own, codes)],
      };
    });
  }

  private draw(image: ImageState, b: number, logProbs: Float32Array): { ids: Int32Array; scores: Float32Array } {
    const size = this.network.config.codebook_size;
    const n = image.codes.length;
    const scores = new Float32Array(n);
    const ids = image.codes.map((code, i) => {
      const from = (b * n + i) * size;
      const id = code >= 0 ? code : image.draws.choose(image.place, this.done_, i, logProbs, from, size);
      scores[i] = logProbs[from + id];
      return id;
    });
    return { ids, scores };
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
    choose: (_image, _step, _position, logProbs, from, count) => drawIndex(logProbs, from, count, rng.uniform()),
    noise: (_image, _step, positions) => rng.gumbel(positions),
  };
}

/** log p of the drawn codes, image after image; rows of padding come last. */
function scoresOf(logits: tf.Tensor2D, ids: readonly Int32Array[]): Float32Array {
  const scores = tf.tidy(() => {
    const flat = new Int32Array(logits.shape[0]);
    ids.forEach((list, b) => flat.set(list, b * list.length));
    return tokenLogProbs(logits, tf.tensor1d(flat, 'int32'));
  });
  try {
    return scores.dataSync<'float32'>();
  } finally {
    scores.dispose();
  }
}
