/** Janus as a policy: what it samples (answers, images) and exact replay of both, guidance included. */
import { type Rng, tf, tokenLogProbs } from '../../engine';
import { causalMask } from '../../nn/causal-mask';
import type { Parameters } from '../../nn/parameters';
import { type SamplingOptions, scoringTemperature } from '../../nn/token-sampling';
import { type AnswerOptions, type JanusAnswer, type JanusPrefix, prefixFeatures, sampleAnswers } from './answers';
import { padLeft, unconditionalIds } from './layout';
import type { JanusModel } from './model';
import { ImageBatch, type ImageOptions, type ImageSample } from './images';

/** Decisions of one forward row; the shape that reinforcement learning replays. */
interface Decisions {
  readonly ids: Int32Array;
  readonly logProbs: Float32Array;
  readonly mask: Uint8Array;
  /** What logits were divided by; 1 for greedy choices. */
  readonly temperature: number;
}

/** A whole answer to a prefix. */
export interface AnswerPiece extends Decisions {
  readonly segment: 'understanding';
  readonly prefix: JanusPrefix;
}

/**
 * Which log-probs of image codes count: those of the guided mixture that was sampled, or of its conditional half.
 * Default `conditional`, as ULM-R1 and T2I-R1 have it.
 */
export type ImageLogProbs = 'guided' | 'conditional';

/** A whole image. */
export interface ImagePiece extends Decisions {
  readonly segment: 'generation';
  /** As `generationIds` lays it out. */
  readonly prompt: readonly number[];
  readonly guidanceScale: number;
  readonly scored: ImageLogProbs;
}

export type JanusPiece = AnswerPiece | ImagePiece;

export function answerPiece(prefix: JanusPrefix, answer: JanusAnswer, options: SamplingOptions = {}): AnswerPiece {
  return {
    segment: 'understanding',
    prefix,
    ids: Int32Array.from(answer.ids),
    logProbs: answer.logProbs,
    mask: answer.mask,
    temperature: scoringTemperature(options),
  };
}

/** @param options those that the image was sampled with */
export function imagePiece(
  prompt: readonly number[],
  sample: ImageSample,
  options: ImageOptions = {},
  scored: ImageLogProbs = 'conditional',
): ImagePiece {
  return {
    segment: 'generation',
    prompt,
    ids: sample.codes,
    logProbs: sample[scored],
    mask: sample.mask,
    temperature: scoringTemperature(options),
    guidanceScale: options.guidanceScale ?? 5,
    scored,
  };
}

/**
 * log p of every id of the pieces, `[pieces, longest piece]`, zero-padded; differentiable in the weights.
 * @param parameters default: the model's own; or a frozen copy
 * @throws RangeError for pieces of different segments, temperatures or guidance
 */
export function replayPieces(
  model: JanusModel,
  pieces: readonly JanusPiece[],
  parameters: Parameters = model.parameters,
): tf.Tensor2D {
  const [{ segment, temperature }] = pieces;
  if (pieces.some((piece) => piece.segment !== segment))
    throw new RangeError('replay takes pieces of one segment at a time');
  if (pieces.some((piece) => piece.temperature !== temperature))
    throw new RangeError('replay takes pieces of one temperature at a time');
  return segment === 'understanding'
    ? replayAnswers(model, pieces as readonly AnswerPiece[], parameters)
    : replayImages(model, pieces as readonly ImagePiece[], parameters);
}

function replayAnswers(model: JanusModel, pieces: readonly AnswerPiece[], p: Parameters): tf.Tensor2D {
  return tf.tidy(() => {
    const { pad } = model.config.tokens;
    // Padded on the right, where causal attention cannot see. The last id is not read: nothing follows it.
    const rows = pieces.map(({ prefix, ids }) => [...prefix.ids, ...ids.subarray(0, -1)]);
    const length = Math.max(...rows.map((row) => row.length));
    const padded = rows.map((row) => [...row, ...new Array<number>(length - row.length).fill(pad)]);
    const embeds = model.embed(padded, prefixFeatures(model, pieces.map((piece) => piece.prefix), p), p); // prettier-ignore
    const hidden = tf.reshape<tf.Rank.R2>(model.hidden(embeds, {}, p), [pieces.length * length, -1]);
    const longest = Math.max(...pieces.map((piece) => piece.ids.length));
    // Padding asks for position 0 and id 0, and is multiplied away: rows of one length need no gather back.
    const places = pieces.flatMap(({ prefix, ids }, b) =>
      Array.from({ length: longest }, (_, i) => (i < ids.length ? b * length + prefix.ids.length + i - 1 : 0)),
    );
    const logits = model.textLogits(tf.gather(hidden, tf.tensor1d(places, 'int32')), p);
    return scoredLogProbs(logits, pieces, longest);
  });
}

function replayImages(model: JanusModel, pieces: readonly ImagePiece[], p: Parameters): tf.Tensor2D {
  const [{ guidanceScale, scored }] = pieces;
  if (pieces.some((piece) => piece.guidanceScale !== guidanceScale || piece.scored !== scored))
    throw new RangeError('replay takes images of one guidance scale and one kind of log-probs at a time');
  return tf.tidy(() => {
    const codes = pieces.map((piece) => piece.ids);
    const prompts = pieces.map((piece) => piece.prompt);
    const conditional = imageCodeLogits(model, prompts, codes, p);
    const count = codes[0].length;
    if (scored === 'conditional' || guidanceScale === 1) return scoredLogProbs(conditional, pieces, count);
    const unconditional = imageCodeLogits(model, prompts.map((ids) => unconditionalIds(model.config, ids)), codes, p); // prettier-ignore
    const guided = tf.add<tf.Tensor2D>(unconditional, tf.mul(tf.sub(conditional, unconditional), guidanceScale));
    return scoredLogProbs(guided, pieces, count);
  });
}

/**
 * Logits that predict every code of the images from the prompt and the codes before it, `[images * codes, codebook]`.
 * @param prompts as `generationIds` lays them out; they may differ in length
 * @param codes `[images][codes]`
 */
export function imageCodeLogits(
  model: JanusModel,
  prompts: readonly (readonly number[])[],
  codes: readonly ArrayLike<number>[],
  p: Parameters = model.parameters,
): tf.Tensor2D {
  return tf.tidy(() => {
    const { ids, pads } = padLeft(model.config, prompts);
    const count = codes[0].length;
    const before = ids[0].length;
    const text = model.embed(ids, undefined, p);
    const seen = codes.map((row) => Array.from(row).slice(0, count - 1));
    const embeds = count > 1 ? tf.concat<tf.Tensor3D>([text, model.embedCodes(seen, p)], 1) : text;
    const length = before + count - 1;
    const positions = pads.map((pad) => Array.from({ length }, (_, t) => Math.max(0, t - pad)));
    const padded = pads.some((pad) => pad > 0);
    const hidden = model.hidden(embeds, padded ? { mask: causalMask(length, length, pads), positions } : {}, p);
    return model.codeLogits(tf.reshape(tf.slice(hidden, [0, before - 1, 0], [-1, count, -1]), [codes.length * count, -1]), p); // prettier-ignore
  });
}

/** Of logits `[pieces * longest, classes]`: log p of the pieces' ids, 0 behind their ends. */
function scoredLogProbs(logits: tf.Tensor2D, pieces: readonly JanusPiece[], longest: number): tf.Tensor2D {
  const shape: [number, number] = [pieces.length, longest];
  const each = <T>(of: (piece: JanusPiece, i: number) => T) =>
    pieces.flatMap((piece) => Array.from({ length: longest }, (_, i) => of(piece, i)));
  const { temperature } = pieces[0];
  const scaled = temperature === 1 ? logits : tf.div<tf.Tensor2D>(logits, temperature);
  const ids = tf.tensor1d(each((piece, i) => piece.ids[i] ?? 0), 'int32'); // prettier-ignore
  const logProbs = tf.reshape<tf.Rank.R2>(tokenLogProbs(scaled, ids), shape);
  if (pieces.every((piece) => piece.ids.length === longest)) return logProbs;
  const real = tf.tensor2d(each((piece, i) => (i < piece.ids.length ? 1 : 0)), shape); // prettier-ignore
  return tf.mul<tf.Tensor2D>(logProbs, real);
}

/** One sample: its pieces in order. */
export interface JanusTrajectory {
  readonly pieces: readonly JanusPiece[];
}

/** What is asked of the policy: an answer to a prefix, or an image of a prompt. */
export type JanusRequest =
  | { readonly segment: 'understanding'; readonly prefix: JanusPrefix; readonly options?: AnswerOptions }
  | {
      readonly segment: 'generation';
      readonly prompt: readonly number[];
      readonly options?: ImageOptions;
      /** Default `conditional`. */
      readonly scored?: ImageLogProbs;
    };

/** The policy contract of reinforcement learning, on one model and, for the KL term, a frozen copy of its weights. */
export class JanusPolicy {
  /**
   * @param reference frozen weights, the policy's to dispose; none: replay with `reference` is an error
   * @param trained which parameters learn; default all. ULM-R1 trains `model.language_model` alone
   */
  constructor(
    readonly model: JanusModel,
    private readonly reference?: Parameters,
    private readonly trained: (name: string) => boolean = () => true,
  ) {}

  /** What learns, by upstream name. */
  variables(): Readonly<Record<string, tf.Variable>> {
    const { variables } = this.model.parameters;
    return Object.fromEntries(Object.entries(variables).filter(([name]) => this.trained(name)));
  }

  /** `n` samples of one request; each draws from a stream of its own. */
  rollout(request: JanusRequest, n: number, rng: Rng): JanusTrajectory[] {
    const rngs = Array.from({ length: n }, (_, i) => rng.split(i));
    if (request.segment === 'understanding') {
      const { prefix, options = {} } = request;
      const answers = sampleAnswers(this.model, rngs.map(() => prefix), rngs, options); // prettier-ignore
      return answers.map((answer) => ({ pieces: [answerPiece(prefix, answer, options)] }));
    }
    const { prompt, options = {}, scored } = request;
    const samples = new ImageBatch(this.model, rngs.map(() => prompt), rngs, options).finish(); // prettier-ignore
    return samples.map((sample) => ({ pieces: [imagePiece(prompt, sample, options, scored)] }));
  }

  /** See {@link replayPieces}. @throws Error for `reference` without one */
  replay(pieces: readonly JanusPiece[], weights: 'policy' | 'reference' = 'policy'): tf.Tensor2D {
    if (weights === 'policy') return replayPieces(this.model, pieces);
    if (!this.reference) throw new Error('this policy was made without a reference; give it one: parameters.clone()');
    return replayPieces(this.model, pieces, this.reference);
  }

  dispose(): void {
    this.reference?.dispose();
  }
}
