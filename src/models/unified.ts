/**
 * What the rest of the library knows of a backbone: prompts in, text and images out, and every decision replayed with a
 * gradient. Recipes, rewards and evaluation take a {@link UnifiedModel}; reinforcement learning takes a {@link Policy}.
 */
import type { Rng, tf } from '../engine';
import type { Image } from '../io';

export type SegmentName = 'understanding' | 'generation';

/**
 * What one row of a forward pass decided: the unit of replay. An answer is one transition; so is an image drawn code
 * after code; an image of T masked decoding steps is T of them. Backbones add what replaying it takes: the input, the
 * temperature, the guidance scale, which image log-probs were recorded. Nothing of that is asked for again.
 */
export interface Transition {
  readonly segment: SegmentName;
  /** `[tokens]` */
  readonly sampledIds: Int32Array;
  /** log p of each id under the distribution that it was drawn from, at the sampling temperature, `[tokens]`. */
  readonly logProbs: Float32Array;
  /** 1 where the id was a decision, 0 where it was forced or already known, `[tokens]`. */
  readonly actionMask: Uint8Array;
}

/** Text that a model said. */
export interface TextSegment<T extends Transition = Transition> {
  readonly name: 'understanding';
  readonly text: string;
  /** Whether it ended by itself, not by the limit on its length. */
  readonly finished: boolean;
  readonly transitions: readonly T[];
}

/** An image that a model drew. */
export interface ImageSegment<T extends Transition = Transition> {
  readonly name: 'generation';
  /** Row by row. */
  readonly codes: Int32Array;
  readonly grid: readonly [rows: number, columns: number];
  readonly transitions: readonly T[];
}

export type Segment<T extends Transition = Transition> = TextSegment<T> | ImageSegment<T>;

/**
 * Everything one sample decided, in order. Sync-GRPO: reasoning, image. CoRL: an answer to one prompt and an image of
 * another, scored together. MM-R1: text, image, text, image of one sequence.
 */
export interface Trajectory<T extends Transition = Transition> {
  readonly segments: readonly Segment<T>[];
}

/** Columns of the least room that answers get. */
const ANSWER = 8;

/** Columns of a replay: the longest transition's, for text 8 at least: answers of one or six words have one shape then. */
export function replayWidth(transitions: readonly Pick<Transition, 'segment' | 'sampledIds'>[]): number {
  const longest = Math.max(...transitions.map(({ sampledIds }) => sampledIds.length));
  return transitions[0]?.segment === 'understanding' ? Math.max(ANSWER, longest) : longest;
}

/** What reinforcement learning knows of a model. A frozen reference is another one, that nothing learns of. */
export interface Policy<T extends Transition = Transition> {
  /** What learns, by upstream name. */
  variables(): Readonly<Record<string, tf.Variable>>;
  /**
   * log p of the sampled ids, `[transitions, longest]` or wider (up to {@link replayWidth}), 0 behind a row's end and where
   * nothing was decided; differentiable in the variables. With unchanged weights it is what was recorded.
   * @throws RangeError for transitions that cannot share a batch (other segment, guidance, temperature)
   */
  replay(transitions: readonly T[]): tf.Tensor2D;
  /**
   * Entropy of the distribution that each id was drawn from, in the shape of {@link replay}, as constants. Only for the share
   * of tokens of highest entropy and for the log; a policy may lack it.
   */
  entropies?(transitions: readonly T[]): tf.Tensor2D;
}

export interface ImageTokenizer {
  readonly grid: readonly [rows: number, columns: number];
  /** Pixels a code covers along each axis. */
  readonly stride: number;
  encode(images: readonly Image[]): Int32Array[];
  /** Pixels `[images, height, width, 3]` in [-1, 1]. @param grid default: the tokenizer's */
  decode(codes: readonly ArrayLike<number>[], grid?: readonly [number, number]): tf.Tensor4D;
}

export interface TextOptions {
  readonly maxNewTokens?: number;
  /** 0 is greedy. Default 1. */
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
}

export interface ImageOptions {
  /** s of `uncond + s (cond - uncond)`; 1: no guidance. */
  readonly guidanceScale?: number;
  readonly temperature?: number;
  /** Whether the recorded log-probs are of the guided mixture that was sampled, or of its conditional half. */
  readonly imageLogProbs?: 'guided' | 'conditional';
  /** Code after code (Janus, Chameleon). */
  readonly topK?: number;
  readonly topP?: number;
  /**
   * Masked decoding (Show-o): number of steps, and which positions of a step are decisions. Where codes come one after
   * another all are decisions, and these two are ignored; a model without topK and topP throws for them, since they
   * say what is sampled.
   */
  readonly steps?: number;
  readonly scored?: 'all' | 'masked' | 'unmasked';
}

/** Images on their way. Dispose it unless it is finished: it may hold keys and values. */
export interface ImageSampler<T extends Transition = Transition> {
  readonly steps: number;
  readonly stepsDone: number;
  readonly done: boolean;
  step(): void;
  /**
   * What each image would be if it stopped now, as codes. A backbone that draws code after code has no such thing, and
   * early selection has nothing to look at.
   */
  readonly predicted?: readonly Int32Array[];
  /** Goes on with these images alone, in this order; this sampler must not be used any more. */
  select(indices: readonly number[]): ImageSampler<T>;
  /** Runs to the end. */
  finish(): ImageSegment<T>[];
  dispose(): void;
}

/** What a prompt is to a recipe: something that the model made and takes. */
export interface Prompt {
  readonly task: 'understand' | 'generate' | 'interleave';
}

/** A prompt, or a prompt and what is to follow it, has no room in the model's sequence. */
export class PromptTooLongError extends RangeError {
  override readonly name = 'PromptTooLongError';
}

/** What is to be continued, and the random numbers that it draws from: no sample depends on its neighbors. */
export interface SampleRequest<P extends Prompt = Prompt> {
  readonly prompt: P;
  readonly rng: Rng;
}

export interface UnifiedModel<P extends Prompt = Prompt, T extends Transition = Transition> extends Policy<T> {
  /** `model_type` of the configuration: `showo`, `janus`, `chameleon`. For logs alone. */
  readonly modelType: string;
  readonly imageTokenizer: ImageTokenizer;
  /** Text and images in their order. @throws PromptTooLongError; RangeError for what the model cannot be asked */
  prompt(parts: readonly (string | Image)[], task: P['task']): P;
  /** One continuation a request. Requests that share one prompt object (a group's) cost its reading once. */
  sampleText(requests: readonly SampleRequest<P>[], options?: TextOptions): TextSegment<T>[];
  imageSampler(requests: readonly SampleRequest<P>[], options?: ImageOptions): ImageSampler<T>;
  /**
   * The same network with numbers that do not learn: the reference of the KL term, a judge. Of a model with adapters,
   * the adapters are copied, and what stands under them is shared: it costs next to no memory. Dispose it.
   * @param follows its `variables()` are named as the model's, so that it can follow it (`refModelSyncSteps`); else it has
   *   none. @throws RangeError for `follows` in BF16
   */
  frozenCopy(dtype?: 'F32' | 'BF16', follows?: boolean): UnifiedModel<P, T>;
  /**
   * A supervised step as tensors and a function of them, so that the function can be compiled once for each of their
   * shapes, which are a few. A model may lack it.
   */
  supervisedBatch?(examples: readonly SupervisedExample[], rng: Rng, options?: SupervisedLossOptions): SupervisedBatch;
  /** Loss of a supervised step, to be minimized; differentiable in `variables()`. */
  supervisedLoss(examples: readonly SupervisedExample[], rng: Rng, options?: SupervisedLossOptions): tf.Scalar;
  /** Saves as `loadModel` reads: configuration, weights under upstream's names, tokenizer; a folder is whole or not there. */
  savePretrained(
    folder: string,
    options?: { readonly dtype?: 'F32' | 'BF16'; readonly shardBytes?: number },
  ): Promise<void>;
  dispose(): void;
}

/** Whether a copy can follow its model. @throws RangeError; see {@link UnifiedModel.frozenCopy} */
export function checkFollows(follows: boolean, dtype: 'F32' | 'BF16'): void {
  if (follows && dtype === 'BF16')
    throw new RangeError('a reference in BF16 cannot follow its model: small changes are lost in rounding');
}

/** Apart, because text and codes are drawn differently (Lumina-mGPT: the 10 likeliest words, the 2000 likeliest codes). */
export interface SequenceOptions {
  readonly text?: TextOptions;
  readonly image?: ImageOptions;
  readonly maxImages?: number;
}

/** An image that was encoded before, so that epochs over few images encode each once. */
export interface EncodedImage {
  readonly codes: Int32Array;
  readonly grid: readonly [rows: number, columns: number];
}

/** What a supervised stage shows a model. */
export type SupervisedExample =
  /** A question (with images, or without) and its answer; only the answer is scored. */
  | {
      readonly task: 'understand';
      readonly parts: readonly (string | Image | EncodedImage)[];
      readonly answer: string;
    }
  /** A prompt and the image that it describes; only the image is scored. */
  | { readonly task: 'generate'; readonly prompt: string; readonly image: Image | EncodedImage }
  /** Text alone; all of it is scored. */
  | { readonly task: 'text'; readonly text: string };

/** A prompt, and text and images in the order in which they answer it; all of the answer is scored (X-CoT). */
export interface SequenceExample {
  readonly task: 'sequence';
  readonly prompt: readonly (string | Image | EncodedImage)[];
  readonly answer: readonly (string | Image | EncodedImage)[];
}

/** What an {@link InterleavedModel} can be shown. */
export type InterleavedExample = SupervisedExample | SequenceExample;

/** A model whose text can begin an image, and go on after it (Chameleon). MM-R1 asks for one. */
export interface InterleavedModel<P extends Prompt = Prompt, T extends Transition = Transition> extends UnifiedModel<
  P,
  T
> {
  sampleSequences(requests: readonly SampleRequest<P>[], options?: SequenceOptions): Trajectory<T>[];
  supervisedBatch?(examples: readonly InterleavedExample[], rng: Rng, options?: SupervisedLossOptions): SupervisedBatch;
  supervisedLoss(examples: readonly InterleavedExample[], rng: Rng, options?: SupervisedLossOptions): tf.Scalar;
  frozenCopy(dtype?: 'F32' | 'BF16', follows?: boolean): InterleavedModel<P, T>;
}

/** Counts of the rows of one kind of example: how many, tokens of the longest, scored tokens. */
export type RowCounts = Readonly<Record<'rows' | 'length' | 'scored', number>>;

export interface SupervisedLossOptions {
  /**
   * What the rows of a kind are padded to, given their own counts. Each shape is compiled once, and whoever makes many
   * batches knows a few that all fit into. Default: each count is rounded up by itself.
   */
  readonly sizes?: (kind: InterleavedExample['task'], own: RowCounts) => RowCounts;
  /** Share of images whose prompt is dropped, so that guidance has an unconditional branch. Of a sequence the last image
   *  stands alone then. Default 0.1. */
  readonly cfgDropout?: number;
  /**
   * Share of drawn images that are read behind codes which are mostly another image's of the batch, see `withWrongCodes`;
   * what is scored stays. For models that draw code after code; masked decoding (Show-o) has its masks for it, and leaves
   * it out. Default 0.
   */
  readonly wrongCodes?: number;
  /** Share of an answer's input tokens that are exchanged for random words; what is scored stays. Default 0. */
  readonly answerCorruption?: number;
  /** Weight of each kind of example, in a loss that is the sum over kinds of weight x mean over scored tokens. Default 1,
   *  unless the backbone's paper prints others: the class says so. */
  readonly weights?: Readonly<Partial<Record<InterleavedExample['task'], number>>>;
}

/** What a supervised step takes, prepared. */
export interface SupervisedBatch {
  /** All that varies from step to step; to be disposed after the step. */
  readonly tensors: tf.TensorContainerObject;
  /** Of `tensors` and the model's variables alone: reads no values, keeps no tensors. */
  readonly loss: () => tf.Scalar;
}

/** New words of a subject (UniCTokens, Sec. 3.1): `<sks>` with K + M tokens before it. */
export interface ConceptTokenOptions {
  /** The word that stands for the subject; it is replaced by all the tokens, in every prompt. Default `<sks>`. */
  readonly placeholder?: string;
  /** The word whose rows the new ones start from, e.g. `dog`. */
  readonly initializer: string;
  /** K: tokens that understanding learns first. Default 16. */
  readonly understanding?: number;
  /** M: tokens that generation learns. Default 8. */
  readonly generation?: number;
}

/** Names, among `variables()`, of the rows that {@link PersonalizableModel.addConceptTokens} added. */
export interface ConceptRows {
  readonly embed: string;
  readonly output: string;
  /** Where the output layer has biases. */
  readonly bias?: string;
}

/**
 * A model that learns a subject as new tokens. They are rows beside the vocabulary's, in the embedding and in the output
 * layer, so that an answer may say `<sks>`; both are among `variables()`, and replay and sampling know them.
 */
export interface PersonalizableModel<P extends Prompt = Prompt, T extends Transition = Transition> extends UnifiedModel<
  P,
  T
> {
  /** @throws Error when the vocabulary lacks the initializer, or tokens were added before */
  addConceptTokens(options: ConceptTokenOptions, rng: Rng): ConceptRows;
  removeConceptTokens(): void;
}
