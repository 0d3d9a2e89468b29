/** Drawing Chameleon's next token: words, or image codes under guidance. */
import type { Rng } from '../../engine';
import { drawToken, logProbOf, type SamplingOptions, scoringTemperature } from '../../nn/token-sampling';
import type { Asked } from './branch';
import type { ChameleonNetwork } from './network';

/**
 * @param mayBegin whether an image can begin
 * @returns the id, and its log-prob among what could be said
 */
export function drawText(
  network: ChameleonNetwork,
  logits: Float32Array,
  mayBegin: boolean,
  options: SamplingOptions,
  rng: Rng,
): [number, number] {
  const { boi, imageIds, imageSpecials } = network.vocabulary;
  const scores = logits.slice();
  for (const id of imageIds) scores[id] = -Infinity;
  for (const id of imageSpecials) scores[id] = -Infinity;
  for (const id of network.concept?.silent ?? []) scores[id] = -Infinity;
  if (!mayBegin) scores[boi] = -Infinity;
  const id = drawToken(scores, 0, scores.length, options, rng);
  return [id, logProbOf(scores, 0, scores.length, id, scoringTemperature(options))];
}

/** Logits of the codes, in the order of their ids. */
export function codesOf({ vocabulary }: ChameleonNetwork, logits: Float32Array, asked: Asked): Float32Array {
  return asked === 'codes' ? logits : Float32Array.from(vocabulary.imageIds, (id) => logits[id]);
}

/**
 * @param conditional logits of the codes @param unconditional the same without the prompt; undefined: no guidance
 * @param options with the guidance's scale, and whose log-prob is told
 * @returns the code's id, and its log-prob among all codes
 */
export function drawCode(
  network: ChameleonNetwork,
  conditional: Float32Array,
  unconditional: Float32Array | undefined,
  options: SamplingOptions & { readonly guidanceScale: number; readonly imageLogProbs: 'guided' | 'conditional' },
  rng: Rng,
): [number, number] {
  const { guidanceScale: scale, imageLogProbs } = options;
  const guided = unconditional
    ? conditional.map((c, i) => unconditional[i] + scale * (c - unconditional[i]))
    : conditional;
  const at = drawToken(guided, 0, guided.length, options, rng);
  const scored = imageLogProbs === 'guided' ? guided : conditional;
  return [network.vocabulary.imageIds[at], logProbOf(scored, 0, scored.length, at, scoringTemperature(options))];
}
