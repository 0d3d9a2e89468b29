/**
 * Sampling text and images in one sequence: text until an image begins, then its codes under guidance, with the
 * tokens that the layout fixes put in their places, then text again.
 */
import type { Rng } from '../../engine';
import type { Parameters } from '../../nn/parameters';
import {
  checkSampling,
  drawToken,
  likeliest,
  logProbOf,
  type SamplingOptions,
  scoringTemperature,
} from '../../nn/token-sampling';
import { Branch } from './branch';
import { defaultGrid } from './config';
import { type Grid, openImage, imageLength, imageSlot } from './layout';
import type { ChameleonModel } from './model';

/** Which log-probs of image codes are recorded: of the guided mixture that is sampled, or of its conditional half. */
export type ImageLogProbs = 'guided' | 'conditional';

export interface SequenceOptions {
  /** Tokens after which no more text is said. An image that has begun is still finished. Default 64. */
  readonly maxNewTokens?: number;
  /** How text is drawn. Lumina-mGPT: topK 10. Default: all ids, temperature 1. */
  readonly text?: SamplingOptions;
  /** How image codes are drawn. Lumina-mGPT: topK 2000. Default: all codes, temperature 1. */
  readonly image?: SamplingOptions;
  /** s of unconditional + s (conditional - unconditional); 1: no guidance. Lumina-mGPT: 4. Default 1. */
  readonly guidanceScale?: number;
  /** Rows and columns of codes of the images. Default: the configuration's. */
  readonly grid?: Grid;
  /** Images after which no further one can begin. Default: no limit. */
  readonly maxImages?: number;
  /** Ids that end a row. Default: the end token. Lumina-mGPT: the separator. */
  readonly stop?: readonly number[];
  /** Ids that text never says, besides the image codes, which it never does. Default none. */
  readonly banned?: readonly number[];
  /**
   * A token to be taken whatever the model says, at place `index` of what is new in row `row`; undefined: draw. In a
   * image only codes can be forced, and not where the layout itself forces a token.
   */
  readonly forced?: (row: number, index: number, inImage: boolean) => number | undefined;
  /** Default `guided`. */
  readonly imageLogProbs?: ImageLogProbs;
  /** False computes every token's whole context again. Default true. */
  readonly cache?: boolean;
}

/** What was sampled after one prompt. */
export interface SampledSequence {
  readonly prompt: readonly number[];
  /** New ids, the one that ended the row included. */
  readonly ids: Int32Array;
  /**
   * log p of each id among those that could stand there (codes in an image, all others but the banned in text), at the
   * temperature, before top-k and top-p; 0 where it was forced.
   */
  readonly logProbs: Float32Array;
  /** 1 where the id was drawn, 0 where layout or caller fixed it. */
  readonly drawn: Uint8Array;
  /** 1 from the token after an image's begin token to its end token. */
  readonly inImage: Uint8Array;
  /** Whether a stop id was said. */
  readonly finished: boolean;
}

interface Row {
  readonly prompt: readonly number[];
  readonly rng: Rng | undefined;
  readonly ids: number[];
  readonly logProbs: number[];
  readonly drawn: number[];
  readonly inImage: number[];
  /** Tokens of the open image after its begin token; -1 in text. */
  offset: number;
  /** Images begun, the prompt's last one when it is open included. */
  images: number;
  finished: boolean;
  done: boolean;
}

/** Everything that replay has to know of the options. */
export type SettledOptions = Required<Omit<SequenceOptions, 'forced'>>;

/** Fills in the defaults. @throws RangeError for options that cannot be used */
export function resolveOptions(model: ChameleonModel, options: SequenceOptions): SettledOptions {
  const { text = {}, image = {}, maxNewTokens = 64, guidanceScale = 1, grid = defaultGrid(model.config) } = options;
  checkSampling(text);
  checkSampling(image);
  if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1)
    throw new RangeError(`maxNewTokens is ${maxNewTokens}, expected a positive integer`);
  if (!Number.isFinite(guidanceScale)) throw new RangeError(`guidanceScale is ${guidanceScale}, expected a number`);
  for (let i = 0; i < imageLength(model.config, grid); i++) imageSlot(model.config, model.vocabulary, grid, i);
  return {
    text,
    image,
    maxNewTokens,
    guidanceScale,
    grid,
    maxImages: options.maxImages ?? Infinity,
    stop: options.stop ?? [model.vocabulary.eos],
    banned: options.banned ?? [],
    imageLogProbs: options.imageLogProbs ?? 'guided',
    cache: options.cache ?? true,
  };
}

/**
 * Continues every prompt. Rows do not depend on their neighbors.
 * @param prompts ids, begin token included; one may end inside an image, or with its begin token
 * @param generators one a prompt; not used when both kinds of token are greedy
 * @param parameters default: the model's
 * @throws RangeError for empty prompts, options that cannot be used, or sequences longer than the model's positions
 */
export function sampleSequences(
  model: ChameleonModel,
  prompts: readonly (readonly number[])[],
  rngs: readonly Rng[],
  options: SequenceOptions = {},
  parameters: Parameters = model.parameters,
): SampledSequence[] {
  const settled = resolveOptions(model, options);
  const rows = prompts.map((prompt, b) => startRow(model, prompt, rngs[b], settled));
  if (rows.length === 0) return [];
  const main = new Branch(model.config, parameters, settled.cache);
  const other = new Branch(model.config, parameters, settled.cache);
  try {
    let live = rows;
    let logits = main.start(live.map((row) => row.prompt));
    let unconditional = startUnconditional(model, live, other, settled);
    for (;;) {
      for (const [b, row] of live.entries())
        advance(
          model,
          row,
          b,
          logits,
          unconditional,
          settled,
          options.forced?.(rows.indexOf(row), row.ids.length, row.offset >= 0),
        );
      const stay = live.map((_, b) => b).filter((b) => !live[b].done);
      if (stay.length === 0) break;
      if (stay.length < live.length) {
        main.keep(stay);
        if (unconditional) other.keep(stay);
        live = stay.map((b) => live[b]);
      }
      logits = main.push(live.map((row) => row.ids[row.ids.length - 1]));
      // Both branches grow alike, so that an image may begin in any row at any time.
      const open = live.map((row) => (row.offset >= 0 ? row.ids[row.ids.length - 1] : null));
      if (unconditional && open.some((id) => id !== null)) unconditional = other.push(open);
      else unconditional = startUnconditional(model, live, other, settled);
    }
  } finally {
    main.dispose();
    other.dispose();
  }
  return rows.map((row) => ({
    prompt: row.prompt,
    ids: Int32Array.from(row.ids),
    logProbs: Float32Array.from(row.logProbs),
    drawn: Uint8Array.from(row.drawn),
    inImage: Uint8Array.from(row.inImage),
    finished: row.finished,
  }));
}

function startRow(
  model: ChameleonModel,
  prompt: readonly number[],
  rng: Rng | undefined,
  options: SettledOptions,
): Row {
  if (prompt.length === 0) throw new RangeError('a prompt is empty; give it the begin token at least');
  const greedy = options.text.temperature === 0 && options.image.temperature === 0;
  if (!rng && !greedy) throw new RangeError('sampling needs one stream a prompt');
  const positions = model.config.text.max_position_embeddings;
  const begin = openImage(model.vocabulary, prompt);
  const offset = begin < 0 ? -1 : prompt.length - begin - 1;
  const whole = imageLength(model.config, options.grid);
  if (prompt.length + options.maxNewTokens > positions)
    throw new RangeError(
      `${prompt.length} tokens of prompt and ${options.maxNewTokens} new ones are more than the model's ${positions} positions`,
    );
  if (offset >= whole)
    throw new RangeError(`the prompt ends inside a picture of more than the ${whole} tokens that the grid asks for`);
  return {
    prompt,
    rng,
    ids: [],
    logProbs: [],
    drawn: [],
    inImage: [],
    offset,
    images: begin < 0 ? 0 : 1,
    finished: false,
    done: false,
  };
}

/** The unconditional contexts: of each open image its own tokens alone, begin token first. Undefined without guidance. */
function startUnconditional(
  model: ChameleonModel,
  rows: readonly Row[],
  branch: Branch,
  { guidanceScale }: SettledOptions,
): Float32Array | undefined {
  if (guidanceScale === 1 || rows.every((row) => row.offset < 0)) return undefined;
  return branch.start(
    rows.map((row) => {
      const all = [...row.prompt, ...row.ids];
      return row.offset < 0 ? [] : all.slice(all.length - row.offset - 1);
    }),
  );
}

/** Takes the row's next token. */
function advance(
  model: ChameleonModel,
  row: Row,
  b: number,
  logits: Float32Array,
  unconditional: Float32Array | undefined,
  options: SettledOptions,
  forced: number | undefined,
): void {
  const { config, vocabulary: v } = model;
  const inside = row.offset >= 0;
  const slot = inside ? imageSlot(config, v, options.grid, row.offset) : undefined;
  const fixed = slot?.kind === 'forced' ? slot.id : forced;
  let id: number;
  if (fixed !== undefined) {
    if (slot?.kind === 'code' && !(v.codeOfId[fixed] >= 0))
      throw new RangeError(`token ${fixed} was forced inside an image, but it is no image code`);
    id = fixed;
    row.logProbs.push(0);
  } else if (inside) {
    id = drawCode(model, row, b, logits, unconditional, options);
  } else {
    id = drawText(model, row, b, logits, options);
  }
  row.ids.push(id);
  row.drawn.push(fixed === undefined ? 1 : 0);
  row.inImage.push(inside ? 1 : 0);
  if (inside) row.offset = id === v.eoi ? -1 : row.offset + 1;
  else if (id === v.boi) {
    row.offset = 0;
    row.images++;
  } else row.finished = options.stop.includes(id);
  const full = row.ids.length >= options.maxNewTokens && row.offset < 0;
  const end = row.prompt.length + row.ids.length >= config.text.max_position_embeddings;
  row.done = row.finished || full || end;
}

function drawText(
  { vocabulary: v }: ChameleonModel,
  row: Row,
  b: number,
  logits: Float32Array,
  options: SettledOptions,
): number {
  const scores = logits.slice(b * v.size, (b + 1) * v.size);
  for (const id of v.imageIds) scores[id] = -Infinity;
  for (const id of bannedIn(options, v.boi, row.images)) scores[id] = -Infinity;
  const id = draw(scores, options.text, row.rng);
  row.logProbs.push(logProbOf(scores, 0, v.size, id, scoringTemperature(options.text)));
  return id;
}

/** Ids that text cannot say once so many images have begun. */
export function bannedIn(options: SettledOptions, boi: number, images: number): readonly number[] {
  return images >= options.maxImages ? [...options.banned, boi] : options.banned;
}

function drawCode(
  { vocabulary: v }: ChameleonModel,
  row: Row,
  b: number,
  logits: Float32Array,
  unconditional: Float32Array | undefined,
  options: SettledOptions,
): number {
  const conditional = Float32Array.from(v.imageIds, (id) => logits[b * v.size + id]);
  const guided = unconditional
    ? conditional.map((c, i) => mixed(unconditional[b * v.size + v.imageIds[i]], c, options.guidanceScale))
    : conditional;
  const at = draw(guided, options.image, row.rng);
  const scored = options.imageLogProbs === 'guided' ? guided : conditional;
  row.logProbs.push(logProbOf(scored, 0, scored.length, at, scoringTemperature(options.image)));
  return v.imageIds[at];
}

const mixed = (without: number, withText: number, scale: number) => without + scale * (withText - without);
function draw(scores: Float32Array, options: SamplingOptions, rng: Rng | undefined): number {
  if (!rng || options.temperature === 0) return likeliest(scores, 0, scores.length);
  return drawToken(scores, 0, scores.length, options, rng);
}
