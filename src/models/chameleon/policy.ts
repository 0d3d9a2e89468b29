/** Chameleon's transitions, text and images, and exact replay of each. */
import { tf, tokenEntropies, tokenLogProbs, type TokenReading } from '../../engine';
import { llamaRotary } from '../../nn/llama';
import { scoredHidden } from '../../nn/row-inputs';
import { sharedTexts } from '../../nn/shared-texts';
import type { Transition } from '../unified';
import type { ChameleonNetwork } from './network';
import type { ImageLogProbs } from './sequence-batch';

interface InSequence extends Transition {
  /** The prompt and everything sampled after it; one object for the transitions of a trajectory. */
  readonly sequence: readonly number[];
  /** Place of the first of `sampledIds` in it. */
  readonly from: number;
  /** Temperature that the log-probs are taken at. */
  readonly temperature: number;
}

/** Text up to the token that ends it: a stop token, or an image's begin token. */
export interface TextTransition extends InSequence {
  readonly segment: 'understanding';
  /** Whether the begin token was among what could be said. */
  readonly mayBeginImage: boolean;
}

/** An image from the token after its begin token to its end token; tokens that the layout fixes are no decisions. */
export interface ImageTransition extends InSequence {
  readonly segment: 'generation';
  /** Place of the begin token in `sequence`: where the unconditional context starts. */
  readonly begin: number;
  readonly guidanceScale: number;
  readonly imageLogProbs: ImageLogProbs;
}

export type ChameleonTransition = TextTransition | ImageTransition;

/** A place whose id is scored: of transition `t`, its token `i`. */
interface Decision {
  readonly t: number;
  readonly i: number;
}

/**
 * log p of the sampled ids, `[transitions, longest]`, 0 where nothing was decided; differentiable in the parameters.
 * Transitions of one sequence (one object) are computed in one row.
 * @throws RangeError for none, and for transitions that cannot share a batch
 */
export function replayTransitions(network: ChameleonNetwork, transitions: readonly ChameleonTransition[]): tf.Tensor2D {
  return readTransitions(network, transitions, tokenLogProbs);
}

/** Entropies of what the decisions were drawn from, in the shape of {@link replayTransitions}. */
export function entropiesOf(network: ChameleonNetwork, transitions: readonly ChameleonTransition[]): tf.Tensor2D {
  return readTransitions(network, transitions, tokenEntropies);
}

function readTransitions(
  network: ChameleonNetwork,
  transitions: readonly ChameleonTransition[],
  read: TokenReading,
): tf.Tensor2D {
  checkBatch(transitions);
  const longest = Math.max(...transitions.map(({ sampledIds }) => sampledIds.length));
  const decisions: Decision[] = transitions.flatMap(({ actionMask }, t) =>
    Array.from(actionMask.keys()).flatMap((i) => (actionMask[i] ? [{ t, i }] : [])),
  );
  if (decisions.length === 0) return tf.zeros([transitions.length, longest]);
  // Only decisions reach the output layer; places where nothing was decided look up the 0 behind them.
  const places = new Int32Array(transitions.length * longest).fill(decisions.length);
  decisions.forEach(({ t, i }, place) => (places[t * longest + i] = place));
  const { temperature } = transitions[0];
  return tf.tidy(() => {
    const logits = isText(transitions)
      ? textLogits(network, transitions, decisions)
      : codeLogits(network, transitions as readonly ImageTransition[], decisions);
    const targets = decisions.map(({ t, i }) => targetOf(network, transitions[t], transitions[t].sampledIds[i]));
    const values = read(tf.div(logits, temperature), tf.tensor1d(targets, 'int32'));
    const padded = tf.concat([values, tf.zeros([1])]);
    return tf.gather(padded, tf.tensor2d(places, [transitions.length, longest], 'int32')) as unknown as tf.Tensor2D;
  });
}

function checkBatch(transitions: readonly ChameleonTransition[]): void {
  if (transitions.length === 0) throw new RangeError('replay needs one transition at least');
  const shared = (transition: ChameleonTransition): Record<string, unknown> => {
    const { segment, temperature } = transition;
    if (segment === 'understanding') return { segment, temperature };
    return { segment, temperature, guidanceScale: transition.guidanceScale, imageLogProbs: transition.imageLogProbs };
  };
  const first = shared(transitions[0]);
  for (const transition of transitions)
    for (const [name, value] of Object.entries(shared(transition)))
      if (value !== first[name])
        throw new RangeError(
          `transitions of ${name} ${String(first[name])} and ${String(value)} cannot be replayed in one batch`,
        );
}

function isText(transitions: readonly ChameleonTransition[]): transitions is readonly TextTransition[] {
  return transitions[0].segment === 'understanding';
}

/** Place of an id among the logits of its segment. @throws RangeError for what is no image code in an image */
function targetOf({ vocabulary: v, width }: ChameleonNetwork, { segment }: ChameleonTransition, id: number): number {
  const first = v.imageIds[0];
  const place = segment === 'understanding' ? id : v.imageIds[id - first] === id ? id - first : v.imageIds.indexOf(id);
  if (!(place >= 0 && id < width)) throw new RangeError(`token ${id} cannot stand in a segment of ${segment}`);
  return place;
}

/** Hidden states that predict the decisions, `[decisions, hidden]`. @param start first token of each transition's row */
function predicting(
  network: ChameleonNetwork,
  transitions: readonly ChameleonTransition[],
  decisions: readonly Decision[],
  start: (transition: ChameleonTransition) => number,
): tf.Tensor2D {
  const rows: { sequence: readonly number[]; start: number; end: number; from: number }[] = [];
  const rowOf = transitions.map((transition) => {
    const { sequence, from, sampledIds } = transition;
    const first = start(transition);
    // The last id predicts nothing that is asked for.
    const end = from + sampledIds.length - 1;
    let at = rows.findIndex((row) => row.sequence === sequence && row.start === first);
    if (at < 0) at = rows.push({ sequence, start: first, end, from }) - 1;
    rows[at].end = Math.max(rows[at].end, end);
    rows[at].from = Math.min(rows[at].from, from);
    return at;
  });
  // What comes before the first sampled id is a group's prompt, or an image's begin token: computed once for all.
  const { config, vocabulary } = network;
  const texts = sharedTexts(
    rows.map(({ sequence, start: first, end, from }) => {
      const beginning = sequence.slice(first, from);
      return { beginning, rest: sequence.slice(from, end), key: beginning.join() };
    }),
    vocabulary.pad,
    llamaRotary(config.text),
  );
  const at = decisions.map(({ t, i }) => texts.placeOf(rowOf[t], transitions[t].from + i - 1 - rows[rowOf[t]].start));
  return scoredHidden(network.hiddenShared(texts.inputs()), tf.tensor1d(at, 'int32'));
}

function textLogits(
  network: ChameleonNetwork,
  transitions: readonly TextTransition[],
  decisions: readonly Decision[],
): tf.Tensor2D {
  const logits = network.logits(predicting(network, transitions, decisions, () => 0));
  const masks = tf.stack([network.textMask(false), network.textMask(true)]);
  const which = decisions.map(({ t }) => (transitions[t].mayBeginImage ? 1 : 0));
  return tf.add(logits, tf.gather(masks, tf.tensor1d(which, 'int32')));
}

function codeLogits(
  network: ChameleonNetwork,
  transitions: readonly ImageTransition[],
  decisions: readonly Decision[],
): tf.Tensor2D {
  const { guidanceScale: s, imageLogProbs } = transitions[0];
  const conditional = network.imageLogits(predicting(network, transitions, decisions, () => 0));
  if (s === 1 || imageLogProbs === 'conditional') return conditional;
  const alone = predicting(network, transitions, decisions, (transition) => (transition as ImageTransition).begin);
  const unconditional = network.imageLogits(alone);
  return tf.add(unconditional, tf.mul(tf.sub(conditional, unconditional), s));
}
