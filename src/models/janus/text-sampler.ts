/** Sampling answers, word after word. */
import { readValues, type Rng } from '../../engine';
import { Decoder, distinct, padRight } from '../../nn/decoder';
import { llamaRotary } from '../../nn/llama';
import { checkSampling, drawToken, logProbOf, type SamplingOptions, scoringTemperature } from '../../nn/token-sampling';
import type { SampleRequest, TextOptions, TextSegment } from '../unified';
import { type JanusPrompt, promptOf, type UnderstandingPrompt } from './layout';
import { type EmbedInputs, featureCount, type JanusNetwork } from './network';
import { promptFeatures, type TextTransition } from './policy';

interface TextRow {
  readonly ids: number[];
  readonly logProbs: number[];
  /** Tokens at most. */
  readonly limit: number;
}

/**
 * Continues every prompt until its end token. Recorded log-probs are at the temperature, before top-k and top-p.
 * @param textOf what ids say
 * @param options greedy choices are scored at temperature 1. `maxNewTokens` is 32 by default
 * @throws RangeError for options that make no sense, and for prompts of images
 */
export function sampleText(
  network: JanusNetwork,
  requests: readonly SampleRequest<JanusPrompt>[],
  textOf: (ids: readonly number[]) => string,
  options: TextOptions = {},
): TextSegment<TextTransition>[] {
  checkSampling(options);
  const { maxNewTokens = 32 } = options;
  if (!(Number.isInteger(maxNewTokens) && maxNewTokens >= 1))
    throw new RangeError(`maxNewTokens is ${maxNewTokens}, expected a positive integer`);
  if (requests.length === 0) return [];
  const prompts = requests.map(({ prompt }) => promptOf(prompt, 'understand') as UnderstandingPrompt);
  const { eos } = network.config.tokens;
  const most = network.config.text.max_position_embeddings;
  const rows = prompts.map((prompt): TextRow => {
    return { ids: [], logProbs: [], limit: Math.min(maxNewTokens, most - prompt.ids.length) };
  });
  const rngs = requests.map(({ rng }) => rng);
  continueRows(network, prompts, rows, rngs, options);
  const temperature = scoringTemperature(options);
  return rows.map(({ ids, logProbs }, b) => ({
    name: 'understanding',
    text: textOf(ids),
    finished: ids[ids.length - 1] === eos,
    transitions: [
      {
        segment: 'understanding',
        prompt: prompts[b],
        temperature,
        sampledIds: Int32Array.from(ids),
        logProbs: Float32Array.from(logProbs),
        actionMask: new Uint8Array(ids.length).fill(1),
      },
    ],
  }));
}

function continueRows(
  network: JanusNetwork,
  prompts: readonly UnderstandingPrompt[],
  rows: readonly TextRow[],
  rngs: readonly Rng[],
  options: SamplingOptions,
): void {
  const { eos } = network.config.tokens;
  const room = Math.max(...prompts.map(({ ids }, b) => ids.length + rows[b].limit));
  const decoder = new Decoder({
    owner: network,
    name: 'word by word',
    layers: network.config.text.num_hidden_layers,
    room,
    rotary: llamaRotary(network.config.text),
    inputs: (ids) => network.embedInputs(ids),
    read: (inputs, { tables, ...at }) => network.hidden(network.embed(inputs), { ...at, positions: tables }),
    head: (hidden) => network.spokenLogits(hidden),
  });
  try {
    let live = rows.map((_, b) => b);
    let logits = readQuestions(network, decoder, prompts);
    for (;;) {
      const count = logits.length / live.length;
      live.forEach((b, i) => {
        const id = drawToken(logits, i * count, count, options, rngs[b]);
        rows[b].ids.push(id);
        rows[b].logProbs.push(logProbOf(logits, i * count, count, id, scoringTemperature(options)));
      });
      const on = [...live.keys()].filter((i) => {
        const { ids, limit } = rows[live[i]];
        return ids[ids.length - 1] !== eos && ids.length < limit;
      });
      live = on.map((i) => live[i]);
      if (live.length === 0) break;
      decoder.select(on);
      const last = live.map((b) => rows[b].ids[rows[b].ids.length - 1]);
      logits = readValues(() => decoder.next(last));
    }
  } finally {
    decoder.dispose();
  }
}

/** Prompts that are one object (a group's) are read once. */
function readQuestions(
  network: JanusNetwork,
  decoder: Decoder<EmbedInputs>,
  prompts: readonly UnderstandingPrompt[],
): Float32Array {
  const { unique, of } = distinct(prompts);
  const features = promptFeatures(network, unique);
  try {
    const prompts = unique.map((prompt) => prompt.ids);
    const { ids, counts } = padRight(prompts, network.config.tokens.pad);
    return readValues(() =>
      decoder.start(counts, of, (cache) => {
        const embeds = network.embed(network.embedInputs(ids, featureCount(features)), features);
        return network.hidden(embeds, { cache, counts });
      }),
    );
  } finally {
    features?.dispose();
  }
}
