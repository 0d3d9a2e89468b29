/** Show-o's decisions (an answer; one MaskGIT step of an image) and their exact replay, guidance included. */
import { tf, tokenEntropies, tokenLogProbs, type TokenReading } from '../../engine';
import { sizeFor } from '../../nn/buckets';
import { type ImageOptions, replayWidth, type Transition } from '../unified';
import { drawnInputs, everyCode } from './image-inputs';
import type { ShowoNetwork } from './network';
import { continuedLogits, type SampledText, type TextRow } from './text-sampler';

/** A whole answer. */
export interface TextTransition extends Transition {
  readonly segment: 'understanding';
  /** What it continues. */
  readonly prefix: TextRow;
  readonly temperature: number;
  /** What could be drawn, token by token, where top-k or top-p left something out. */
  readonly kept?: readonly Int32Array[];
}

/** One MaskGIT step of one image; ids are codes. */
export interface ImageTransition extends Transition {
  readonly segment: 'generation';
  /** Ids of the prompt. */
  readonly condition: readonly number[];
  /** Codes before the step, -1 where unknown, `[codes]`. */
  readonly inputIds: Int32Array;
  /** s that was sampled with. */
  readonly guidanceScale: number;
  /** Whose log-probs were recorded, and are replayed. */
  readonly imageLogProbs: NonNullable<ImageOptions['imageLogProbs']>;
}

export type ShowoTransition = TextTransition | ImageTransition;

/** @param temperature that its log-probs were recorded at */
export function textTransition(
  prefix: TextRow,
  { ids, logProbs, kept }: SampledText,
  temperature: number,
): TextTransition {
  return {
    segment: 'understanding',
    prefix,
    temperature,
    sampledIds: ids,
    logProbs,
    actionMask: new Uint8Array(ids.length).fill(1),
    ...(kept ? { kept } : {}),
  };
}

/**
 * log p of every decision, `[transitions, width]`, see {@link replayWidth}; 0 behind a row's end and where nothing was
 * decided; differentiable in the weights.
 * @throws RangeError for transitions of different segments, temperatures, guidance or kinds of log-probs
 */
export function replayTransitions(network: ShowoNetwork, transitions: readonly ShowoTransition[]): tf.Tensor2D {
  return readTransitions(network, transitions, tokenLogProbs);
}

/** Entropies of what the decisions were drawn from, in the shape of {@link replayTransitions}. */
export function entropiesOf(network: ShowoNetwork, transitions: readonly ShowoTransition[]): tf.Tensor2D {
  return readTransitions(network, transitions, tokenEntropies);
}

function readTransitions(
  network: ShowoNetwork,
  transitions: readonly ShowoTransition[],
  read: TokenReading,
): tf.Tensor2D {
  if (transitions.length === 0) throw new RangeError('replay needs at least one transition');
  const texts = transitions.filter((transition) => transition.segment === 'understanding');
  const images = transitions.filter((transition) => transition.segment === 'generation');
  if (texts.length > 0 && images.length > 0)
    throw new RangeError('replay takes transitions of one segment at a time: text and images differ in layout');
  return tf.tidy(() => {
    const values = images.length > 0 ? readImages(network, images, read) : readTexts(network, texts, read);
    return tf.mul<tf.Tensor2D>(values, decisionsOf(transitions, values.shape[1]));
  });
}

function readTexts(network: ShowoNetwork, transitions: readonly TextTransition[], read: TokenReading): tf.Tensor2D {
  const temperature = theSame('temperature', transitions, (transition) => transition.temperature);
  const longest = replayWidth(transitions);
  const { pad } = network.vocabulary;
  const rows = transitions.map(({ prefix, sampledIds }) => {
    const padding = new Array<number>(longest - sampledIds.length).fill(pad); // answers of every length have one shape
    return { prefix, rest: [...sampledIds.subarray(0, -1), ...padding] };
  });
  const steps = Array.from({ length: longest }, (_, i) => i);
  // Padding asks for position 0 and id 0, and is multiplied away: rows of one length need no gather back.
  const positions = transitions.map(({ prefix, sampledIds }) =>
    steps.map((i) => (i < sampledIds.length ? prefix.ids.length + i - 1 : 0)),
  );
  const { indexOf } = network.sayableIds;
  const targets = transitions.flatMap(({ sampledIds }) =>
    steps.map((i) => (i < sampledIds.length ? indexOf(sampledIds[i]) : 0)),
  );
  const logits = tf.div<tf.Tensor2D>(continuedLogits(network, rows, positions), temperature);
  const open = keptOnly(network, transitions, longest, logits);
  return tf.reshape(read(open, tf.tensor1d(targets, 'int32')), [transitions.length, longest]);
}

/** Logits with those far down that top-k and top-p had left out. */
function keptOnly(
  network: ShowoNetwork,
  transitions: readonly TextTransition[],
  longest: number,
  logits: tf.Tensor2D,
): tf.Tensor2D {
  if (transitions.every(({ kept }) => kept === undefined)) return logits;
  const { count, indexOf } = network.sayableIds;
  const closed = new Float32Array(transitions.length * longest * count);
  transitions.forEach(({ kept }, b) =>
    kept?.forEach((ids, i) => {
      const from = (b * longest + i) * count;
      closed.fill(-1e30, from, from + count);
      for (const id of ids) closed[from + indexOf(id)] = 0;
    }),
  );
  return tf.add(logits, tf.tensor2d(closed, [transitions.length * longest, count]));
}

/** Only decisions reach the output layer. */
function readImages(network: ShowoNetwork, transitions: readonly ImageTransition[], read: TokenReading): tf.Tensor2D {
  const guidanceScale = theSame('guidance scale', transitions, (transition) => transition.guidanceScale);
  const kind = theSame('kind of log-probs', transitions, (transition) => transition.imageLogProbs);
  const scale = kind === 'guided' ? guidanceScale : 1;
  const codes = network.config.num_vq_tokens;
  const decided = everyCode(transitions.length, codes).filter(({ image, code }) => transitions[image].actionMask[code]);
  if (decided.length === 0) return tf.zeros([transitions.length, codes]);
  const images = transitions.map(({ condition, inputIds }) => ({ condition, codes: inputIds }));
  const size = Math.min(sizeFor(decided.length, 8), transitions.length * codes);
  const inputs = drawnInputs(network.config, images, scale !== 1, decided, size);
  const ids = new Int32Array(size);
  // Where nothing was decided, the 0 behind all that was read is looked up.
  const places = new Int32Array(transitions.length * codes).fill(size);
  decided.forEach(({ image, code }, i) => {
    ids[i] = transitions[image].sampledIds[code];
    places[image * codes + code] = i;
  });
  const found = read(network.imageLogits(inputs, scale).guided, tf.tensor1d(ids, 'int32'));
  const all = tf.concat([found, tf.zeros([1])]);
  return tf.reshape(tf.gather(all, tf.tensor1d(places, 'int32')), [transitions.length, codes]);
}

/** 1 for every decision, `[transitions, longest]`. */
function decisionsOf(transitions: readonly ShowoTransition[], longest: number): tf.Tensor2D {
  const out = new Float32Array(transitions.length * longest);
  transitions.forEach(({ actionMask }, b) => out.set(actionMask, b * longest));
  return tf.tensor2d(out, [transitions.length, longest]);
}

/** The value that all of a batch have. @throws RangeError when they differ */
function theSame<T, V>(what: string, transitions: readonly T[], valueOf: (transition: T) => V): V {
  const values = [...new Set(transitions.map(valueOf))];
  if (values.length > 1)
    throw new RangeError(`replay takes transitions of one ${what} at a time, got ${values.join(', ')}`);
  return values[0];
}
