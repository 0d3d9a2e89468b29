/**
 * Text and images drawn in one sequence: text until an image begins, then its codes under guidance, with the tokens
 * that the layout fixes put in their places, then text again.
 */
import type { Rng } from '../../engine';
import { checkSampling, type SamplingOptions } from '../../nn/token-sampling';
import { type ImageOptions, PromptTooLongError, type SequenceOptions } from '../unified';
import { defaultGrid } from './config';
import { codesOf, drawCode, drawText } from './drawing';
import { type Grid, imageLength, imageSlot, openImage } from './layout';
import { Branch } from './branch';
import type { ChameleonNetwork } from './network';

/** Which log-probs of image codes are recorded: of the guided mixture that is sampled, or of its conditional half. */
export type ImageLogProbs = NonNullable<ImageOptions['imageLogProbs']>;

/** What the model samples with; what a backbone that draws code after code does not have is left out. */
export interface ChameleonSequenceOptions extends SequenceOptions {
  /** Rows and columns of codes of the images. Default: the configuration's. */
  readonly grid?: Grid;
  /** Ids that end a sequence. Default: the end token, and in conversations the separator. */
  readonly stop?: readonly number[];
  /**
   * A token of text to be taken whatever the model says, at place `index` of what is new in row `row`; undefined: draw.
   * It is no decision.
   */
  readonly forced?: (row: number, index: number) => number | undefined;
}

/** The options with their defaults. */
export interface SamplingPlan {
  readonly text: SamplingOptions & { readonly maxNewTokens: number };
  readonly image: SamplingOptions & { readonly guidanceScale: number; readonly imageLogProbs: ImageLogProbs };
  readonly maxImages: number;
  readonly grid: Grid;
  readonly stop: readonly number[];
  readonly forced?: ChameleonSequenceOptions['forced'];
}

/** What is to be continued: ids, begin token included; they may end inside an image, or with its begin token. */
export interface IdRequest {
  readonly prompt: readonly number[];
  readonly rng: Rng;
}

/** What was sampled after one prompt. */
export interface SampledSequence {
  readonly prompt: readonly number[];
  /** New ids, the one that ended the row included. */
  readonly ids: Int32Array;
  /**
   * log p of each id among those that could stand there (codes in an image, text elsewhere), at the temperature, before
   * top-k and top-p; 0 where it was forced.
   */
  readonly logProbs: Float32Array;
  /** 1 where the id was drawn, 0 where it was forced. */
  readonly drawn: Uint8Array;
  /** 1 from the token after an image's begin token to its end token. */
  readonly inImage: Uint8Array;
  /** Images after which the text could not begin another one. */
  readonly maxImages: number;
}

interface Row {
  /** Place among the requests. */
  readonly index: number;
  readonly prompt: readonly number[];
  readonly rng: Rng;
  readonly ids: number[];
  readonly logProbs: number[];
  readonly drawn: number[];
  readonly inImage: number[];
  readonly maxImages: number;
  /** Tokens of the open image after its begin token; -1 in text. */
  offset: number;
  /** Images begun, the prompt's last one when it is open included. */
  images: number;
  /** Tokens of text said. */
  words: number;
  done: boolean;
}

/** Fills in the defaults. @throws RangeError naming the option that cannot be used, and its value */
export function samplingPlan(network: ChameleonNetwork, options: ChameleonSequenceOptions): SamplingPlan {
  const { config, vocabulary: v } = network;
  const { text = {}, image = {}, maxImages = Infinity, grid = defaultGrid(config) } = options;
  const { maxNewTokens = 64 } = text;
  const { guidanceScale = 1, imageLogProbs = 'guided' } = image;
  checkSampling(text);
  checkSampling(image);
  if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1)
    throw new RangeError(`maxNewTokens is ${maxNewTokens}, expected a positive integer`);
  if (!(guidanceScale >= 0 && guidanceScale < Infinity))
    throw new RangeError(`guidanceScale is ${guidanceScale}, expected a number, 0 or above (1: no guidance)`);
  if (imageLogProbs !== 'guided' && imageLogProbs !== 'conditional')
    throw new RangeError(`imageLogProbs is '${String(imageLogProbs)}', expected 'guided' or 'conditional'`);
  if (maxImages !== Infinity && !(Number.isInteger(maxImages) && maxImages >= 0))
    throw new RangeError(`maxImages is ${maxImages}, expected a whole number, 0 or above`);
  for (let i = 0; i < imageLength(config, grid); i++) imageSlot(config, v, grid, i);
  const ends = config.prompt_format === 'conversation' && v.separator !== undefined ? [v.eos, v.separator] : [v.eos];
  return {
    text: { ...text, maxNewTokens },
    image: { ...image, guidanceScale, imageLogProbs },
    maxImages,
    grid,
    stop: options.stop ?? ends,
    forced: options.forced,
  };
}

/** Sequences on their way, one token a step. Rows do not depend on their neighbors. Dispose it when it is left early. */
export class SequenceBatch {
  private constructor(
    private readonly network: ChameleonNetwork,
    private readonly rows: readonly Row[],
    private readonly plan: SamplingPlan,
    private readonly conditional: Branch,
    private readonly unconditional: Branch,
  ) {}

  /** @throws RangeError for empty prompts; PromptTooLongError when the model has too few positions */
  static start(network: ChameleonNetwork, requests: readonly IdRequest[], plan: SamplingPlan): SequenceBatch {
    const rows = requests.map((request, index) => startRow(network, request, index, plan));
    const whole = imageLength(network.config, plan.grid);
    const room = Math.max(
      0,
      ...rows.map(({ prompt, offset }) => prompt.length + (offset < 0 ? plan.text.maxNewTokens : whole)),
    );
    const branches = [
      new Branch(network, 'token by token', room),
      new Branch(network, 'without the prompt', whole + 1),
    ];
    return new SequenceBatch(network, rows, plan, branches[0], branches[1]);
  }

  get done(): boolean {
    return this.rows.every((row) => row.done);
  }

  /** Whether the layout fixes the next token of every row that goes on. */
  get nextIsFixed(): boolean {
    return this.rows.every((row) => row.done || this.fixedId(row) !== undefined);
  }

  /** The next token of every row that is not done. What is held is disposed of at the end, and when it throws. */
  step(): void {
    const live = this.rows.filter((row) => !row.done);
    try {
      // Tokens that are fixed need no logits; the branches read them with the next draw.
      if (this.nextIsFixed) for (const row of live) this.take(row, this.fixedId(row) as number);
      else this.draw(live);
    } catch (error) {
      this.dispose();
      throw error;
    }
    if (this.done) this.dispose();
  }

  /** Goes on with these rows alone, in this order. @throws RangeError for a row that is not there, or is named twice */
  select(indices: readonly number[]): SequenceBatch {
    indices.forEach((index, i) => {
      if (!(index in this.rows)) throw new RangeError(`there is no sample ${index} among ${this.rows.length}`);
      if (indices.indexOf(index) !== i) throw new RangeError(`sample ${index} is selected twice`);
    });
    const rows = indices.map((i) => this.rows[i]);
    const { network, plan, conditional, unconditional } = this;
    if (rows.every((row) => row.done)) this.dispose();
    return new SequenceBatch(network, rows, plan, conditional, unconditional);
  }

  /** Runs to the end. */
  finish(): SampledSequence[] {
    while (!this.done) this.step();
    return this.rows.map(({ prompt, ids, logProbs, drawn, inImage, maxImages }) => ({
      prompt,
      ids: Int32Array.from(ids),
      logProbs: Float32Array.from(logProbs),
      drawn: Uint8Array.from(drawn),
      inImage: Uint8Array.from(inImage),
      maxImages,
    }));
  }

  dispose(): void {
    this.conditional.dispose();
    this.unconditional.dispose();
  }

  /** The token that the layout fixes at a row's next place. */
  private fixedId({ offset }: Row): number | undefined {
    if (offset < 0) return undefined;
    const slot = imageSlot(this.network.config, this.network.vocabulary, this.plan.grid, offset);
    return slot.kind === 'forced' ? slot.id : undefined;
  }

  private draw(live: readonly Row[]): void {
    const { plan, network } = this;
    // Inside of images only codes are drawn.
    const asked = live.every((row) => row.offset >= 0) ? 'codes' : 'ids';
    const logits = this.conditional.next(
      live.map((row) => ({ key: row, context: row.ids.length > 0 ? [...row.prompt, ...row.ids] : row.prompt })),
      asked,
    );
    const unconditional = this.unconditionalLogits(live);
    const width = logits.length / live.length;
    const codes = network.vocabulary.imageIds.length;
    live.forEach((row, b) => {
      const own = logits.subarray(b * width, (b + 1) * width);
      const without = unconditional?.subarray(b * codes, (b + 1) * codes);
      const fixed = this.fixedId(row) ?? (row.offset < 0 ? plan.forced?.(row.index, row.ids.length) : undefined);
      if (fixed !== undefined) this.take(row, fixed);
      else if (row.offset < 0)
        this.take(row, ...drawText(network, own, row.images < row.maxImages, plan.text, row.rng));
      else this.take(row, ...drawCode(network, codesOf(network, own, asked), without, plan.image, row.rng));
    });
  }

  /**
   * Logits of the codes, of each open image its own tokens alone, begin token first (Lumina-mGPT); undefined when
   * guidance has nothing to do.
   */
  private unconditionalLogits(live: readonly Row[]): Float32Array | undefined {
    if (this.plan.image.guidanceScale === 1) return undefined;
    if (live.every((row) => row.offset < 0)) {
      this.unconditional.dispose();
      return undefined;
    }
    const rows = live.map((row) => {
      const all = row.offset < 0 ? [] : [...row.prompt, ...row.ids];
      return { key: row, context: row.offset < 0 ? [] : all.slice(all.length - row.offset - 1) };
    });
    return this.unconditional.next(rows, 'codes');
  }

  /** @param logProb of a token that was drawn; undefined: it was forced */
  private take(row: Row, id: number, logProb?: number): void {
    const { vocabulary: v } = this.network;
    const inside = row.offset >= 0;
    row.ids.push(id);
    row.logProbs.push(logProb ?? 0);
    row.drawn.push(logProb === undefined ? 0 : 1);
    row.inImage.push(inside ? 1 : 0);
    if (inside) row.offset = id === v.eoi ? -1 : row.offset + 1;
    else {
      row.words++;
      if (id === v.boi) {
        row.offset = 0;
        row.images++;
      }
    }
    const ended = !inside && this.plan.stop.includes(id);
    row.done = ended || (row.offset < 0 && row.words >= this.plan.text.maxNewTokens);
  }
}

function startRow(network: ChameleonNetwork, { prompt, rng }: IdRequest, index: number, plan: SamplingPlan): Row {
  if (prompt.length === 0) throw new RangeError('a prompt is empty; give it the begin token at least');
  const { config, vocabulary } = network;
  const begin = openImage(vocabulary, prompt);
  const offset = begin < 0 ? -1 : prompt.length - begin - 1;
  const whole = imageLength(config, plan.grid);
  if (offset >= whole)
    throw new RangeError(`the prompt ends inside an image of more than the ${whole} tokens that the grid asks for`);
  const images = begin < 0 ? 0 : 1;
  const positions = config.text.max_position_embeddings;
  const { maxNewTokens } = plan.text;
  const room = positions - prompt.length - maxNewTokens - (begin < 0 ? 0 : whole - offset);
  const fitting = Math.floor(room / whole);
  const wanted = plan.maxImages === Infinity ? 0 : Math.max(0, plan.maxImages - images);
  if (room < 0 || fitting < wanted)
    throw new PromptTooLongError(
      `${prompt.length} tokens of prompt, ${maxNewTokens} of text and ${wanted + images} images of ${whole} are more than the model's ${positions} positions`,
    );
  return {
    index,
    prompt,
    rng,
    ids: [],
    logProbs: [],
    drawn: [],
    inImage: [],
    maxImages: Math.min(plan.maxImages, images + fitting),
    offset,
    images,
    words: 0,
    done: begin < 0 && maxNewTokens === 0,
  };
}
