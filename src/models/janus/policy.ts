/** What Janus decided, and exact replay of it: answers and images, guidance included. */
import { tf, tokenEntropies, tokenLogProbs, type TokenReading } from '../../engine';
import { imagesToTensor } from '../../io';
import { distinct } from '../../nn/decoder';
import { llamaRotary } from '../../nn/llama';
import { sharedTexts } from '../../nn/shared-texts';
import type { ImageOptions, Transition } from '../unified';
import { type ImageInputs, imageInputs } from './inputs';
import { type GenerationPrompt, unconditionalIds, type UnderstandingPrompt } from './layout';
import { featureCount, type JanusNetwork } from './network';

/** Which log-probs of image codes were recorded. Janus' default is `conditional`, as ULM-R1 and T2I-R1 have it. */
export type ImageLogProbs = NonNullable<ImageOptions['imageLogProbs']>;

/** A whole answer. */
export interface TextTransition extends Transition {
  readonly segment: 'understanding';
  readonly prompt: UnderstandingPrompt;
  /** What logits were divided by; 1 for greedy choices. */
  readonly temperature: number;
}

/** A whole image, code after code. */
export interface ImageTransition extends Transition {
  readonly segment: 'generation';
  readonly prompt: GenerationPrompt;
  readonly temperature: number;
  readonly guidanceScale: number;
  readonly imageLogProbs: ImageLogProbs;
}

export type JanusTransition = TextTransition | ImageTransition;

/** See `Policy.replay`: one forward pass over all rows, two where guided log-probs were recorded. */
export function replay(network: JanusNetwork, transitions: readonly JanusTransition[]): tf.Tensor2D {
  return readTransitions(network, transitions, tokenLogProbs);
}

/** Entropies of what the decisions were drawn from, in the shape of {@link replay}. */
export function entropiesOf(network: JanusNetwork, transitions: readonly JanusTransition[]): tf.Tensor2D {
  return readTransitions(network, transitions, tokenEntropies);
}

function readTransitions(
  network: JanusNetwork,
  transitions: readonly JanusTransition[],
  read: TokenReading,
): tf.Tensor2D {
  if (transitions.length === 0) throw new RangeError('replay needs a transition at least');
  sameInAll(transitions, 'segment');
  sameInAll(transitions, 'temperature');
  const [first] = transitions;
  if (first.segment === 'understanding') return readText(network, transitions as readonly TextTransition[], read);
  const images = transitions as readonly ImageTransition[];
  sameInAll(images, 'guidanceScale');
  sameInAll(images, 'imageLogProbs');
  return readImages(network, images, read);
}

function sameInAll<T extends Transition>(transitions: readonly T[], field: keyof T & string): void {
  const other = transitions.find((transition) => transition[field] !== transitions[0][field]);
  if (other)
    throw new RangeError(
      `replay takes transitions of one ${field} at a time, got ${String(transitions[0][field])} and ${String(other[field])}`,
    );
}

function readText(network: JanusNetwork, transitions: readonly TextTransition[], read: TokenReading): tf.Tensor2D {
  return tf.tidy(() => {
    const { text, tokens } = network.config;
    // Answers to one question (one object) share it. The last id is not read: nothing follows it.
    const texts = sharedTexts(
      transitions.map(({ prompt, sampledIds }) => {
        return { beginning: prompt.ids, rest: [...sampledIds.subarray(0, -1)], key: prompt };
      }),
      tokens.pad,
      llamaRotary(text),
    );
    const features = promptFeatures(
      network,
      texts.firsts.map((b) => transitions[b].prompt),
    );
    const embeds = network.embed(network.embedInputs([texts.ids], featureCount(features)), features);
    const hidden = tf.reshape<tf.Rank.R2>(network.hidden(embeds, { shared: texts.inputs() }), [texts.ids.length, -1]);
    const longest = Math.max(...transitions.map(({ sampledIds }) => sampledIds.length));
    // Padding asks for position 0 and id 0, and is multiplied away: rows of one length need no gather back.
    const places = transitions.flatMap(({ prompt, sampledIds }, b) =>
      Array.from({ length: longest }, (_, i) =>
        i < sampledIds.length ? texts.placeOf(b, prompt.ids.length + i - 1) : 0,
      ),
    );
    const logits = network.spokenLogits(tf.gather(hidden, tf.tensor1d(places, 'int32')));
    return readSampled(logits, transitions, longest, read);
  });
}

/** Features of the prompts' images, `[images, features, hidden]`, in order; undefined when there are none. */
export function promptFeatures(
  network: JanusNetwork,
  prompts: readonly Pick<UnderstandingPrompt, 'images'>[],
): tf.Tensor3D | undefined {
  const images = prompts.flatMap((prompt) => prompt.images);
  if (images.length === 0) return undefined;
  const { unique, of } = distinct(images);
  return tf.tidy(() => {
    const features = network.imageFeatures(imagesToTensor(unique));
    return unique.length === images.length ? features : tf.gather(features, tf.tensor1d(of, 'int32'));
  });
}

function readImages(network: JanusNetwork, transitions: readonly ImageTransition[], read: TokenReading): tf.Tensor2D {
  const [{ guidanceScale, imageLogProbs }] = transitions;
  return tf.tidy(() => {
    const codes = transitions.map(({ sampledIds }) => sampledIds);
    const prompts = transitions.map(({ prompt }) => prompt.ids);
    const conditional = imageCodeLogits(network, imageInputs(network, prompts, codes));
    const count = codes[0].length;
    if (imageLogProbs === 'conditional' || guidanceScale === 1)
      return readSampled(conditional, transitions, count, read);
    const dropped = prompts.map((ids) => unconditionalIds(network.config, ids));
    const unconditional = imageCodeLogits(network, imageInputs(network, dropped, codes));
    const guided = tf.add<tf.Tensor2D>(unconditional, tf.mul(tf.sub(conditional, unconditional), guidanceScale));
    return readSampled(guided, transitions, count, read);
  });
}

/**
 * Logits that predict every code of the images from the prompt and the codes before it, `[images * codes, codebook]`. A
 * function of tensors.
 */
export function imageCodeLogits(
  network: JanusNetwork,
  { embed, seen, mask, tables, targets }: ImageInputs,
): tf.Tensor2D {
  return tf.tidy(() => {
    const [rows, before] = embed.ids.shape;
    const text = network.embed(embed);
    const embeds = seen ? tf.concat<tf.Tensor3D>([text, network.embedCodes(seen)], 1) : text;
    const hidden = network.hidden(embeds, { mask, positions: tables });
    const predicting = tf.slice(hidden, [0, before - 1, 0], [-1, targets.size / rows, -1]);
    return network.codeLogits(tf.reshape(predicting, [targets.size, -1]));
  });
}

/** Of logits `[transitions * longest, classes]`: what is read at the sampled ids, 0 behind their ends and where none was drawn. */
function readSampled(
  logits: tf.Tensor2D,
  transitions: readonly JanusTransition[],
  longest: number,
  read: TokenReading,
): tf.Tensor2D {
  const shape: [number, number] = [transitions.length, longest];
  const each = (of: (transition: JanusTransition, i: number) => number | undefined) =>
    transitions.flatMap((transition) => Array.from({ length: longest }, (_, i) => of(transition, i) ?? 0));
  const { temperature } = transitions[0];
  const scaled = temperature === 1 ? logits : tf.div<tf.Tensor2D>(logits, temperature);
  const sampled = each(({ sampledIds }, i) => sampledIds[i]);
  const values = tf.reshape<tf.Rank.R2>(read(scaled, tf.tensor1d(sampled, 'int32')), shape);
  const mask = each(({ actionMask }, i) => actionMask[i]);
  return mask.every((one) => one === 1) ? values : tf.mul<tf.Tensor2D>(values, tf.tensor2d(mask, shape));
}
