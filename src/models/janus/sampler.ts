/**
 * Sampling: answers word after word, images code after code. With guidance every image has two rows, one with the
 * condition and one without, which are given the same codes: logits = unconditional + s (conditional - unconditional).
 */
import type { Rng, tf } from '../../engine';
import { Decoder, distinct, padRight } from '../../nn/decoder';
import { checkSampling, drawToken, logProbOf, type SamplingOptions, scoringTemperature } from '../../nn/token-sampling';
import type { ImageOptions, ImageSampler, ImageSegment, SampleRequest, TextOptions, TextSegment } from '../unified';
import { imageCodes } from './config';
import { type GenerationPrompt, type JanusPrompt, unconditionalIds, type UnderstandingPrompt } from './layout';
import { featureCount, type JanusNetwork } from './network';
import { type ImageLogProbs, type ImageTransition, promptFeatures, type TextTransition } from './policy';

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
  const layers = network.config.text.num_hidden_layers;
  const head = (hidden: tf.Tensor2D) => network.spokenLogits(hidden);
  const decoder = new Decoder({ owner: network, name: 'word by word', layers, room, head });
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
      logits = decoder.next(last, (ids, cache) => network.hidden(network.embed(network.embedInputs(ids)), { cache }));
    }
  } finally {
    decoder.dispose();
  }
}

/** Prompts that are one object (a group's) are read once. */
function readQuestions(network: JanusNetwork, decoder: Decoder, prompts: readonly UnderstandingPrompt[]): Float32Array {
  const { unique, of } = distinct(prompts);
  const features = promptFeatures(network, unique);
  try {
    const prompts = unique.map((prompt) => prompt.ids);
    const { ids, counts } = padRight(prompts, network.config.tokens.pad);
    return decoder.start(counts, of, (cache) => {
      const embeds = network.embed(network.embedInputs(ids, featureCount(features)), features);
      return network.hidden(embeds, { cache, counts });
    });
  } finally {
    features?.dispose();
  }
}

function promptOf(prompt: JanusPrompt, task: JanusPrompt['task']): JanusPrompt {
  if (prompt.task !== task) throw new RangeError(`a prompt made to ${prompt.task} cannot be used to ${task}`);
  return prompt;
}

/** The logits of one step, `[images * codes]` each; unconditional ones only with guidance. */
export interface StepLogits {
  readonly conditional: Float32Array;
  readonly unconditional?: Float32Array;
  readonly guided: Float32Array;
}

interface ImageRow {
  readonly prompt: GenerationPrompt;
  readonly rng: Rng;
  readonly codes: Int32Array;
  readonly logProbs: Float32Array;
}

type Settings = SamplingOptions & { readonly guidanceScale: number; readonly imageLogProbs: ImageLogProbs };

/** Images on the way; see `ImageSampler`. */
export class JanusImageSampler implements ImageSampler<ImageTransition> {
  readonly steps: number;
  /** Absent once the images have been handed over to another sampler, or thrown away. */
  private decoder: Decoder | undefined;
  private drawn = 0;

  private constructor(
    private readonly network: JanusNetwork,
    private readonly rows: readonly ImageRow[],
    private readonly settings: Settings,
    private readonly observe?: (logits: StepLogits) => void,
  ) {
    this.steps = imageCodes(network.config);
  }

  /**
   * @param requests those that share a prompt object (a group's) cost its reading once
   * @param options `guidanceScale` is 5 by default, as Janus has it; recorded log-probs are at the temperature, before
   *   top-k and top-p, and `conditional` by default
   * @param observe is given the logits of every step
   * @throws RangeError for options that make no sense, and for prompts of questions
   */
  static start(
    network: JanusNetwork,
    requests: readonly SampleRequest<JanusPrompt>[],
    options: ImageOptions = {},
    observe?: (logits: StepLogits) => void,
  ): JanusImageSampler {
    checkSampling(options);
    const { guidanceScale = 5, imageLogProbs = 'conditional', temperature, topK, topP } = options;
    if (!Number.isFinite(guidanceScale))
      throw new RangeError(`guidanceScale is ${guidanceScale}, expected a number; 1 means none`);
    if (!['guided', 'conditional'].includes(imageLogProbs))
      throw new RangeError(`imageLogProbs is ${String(imageLogProbs)}, expected guided or conditional`);
    const count = imageCodes(network.config);
    const rows = requests.map(({ prompt, rng }): ImageRow => {
      return {
        prompt: promptOf(prompt, 'generate') as GenerationPrompt,
        rng,
        codes: new Int32Array(count),
        logProbs: new Float32Array(count),
      };
    });
    const settings = { guidanceScale, imageLogProbs, temperature, topK, topP };
    const sampler = new JanusImageSampler(network, rows, settings, observe);
    const room = Math.max(0, ...rows.map(({ prompt }) => prompt.ids.length)) + count - 1;
    const layers = network.config.text.num_hidden_layers;
    const head = (hidden: tf.Tensor2D) => network.codeLogits(hidden);
    sampler.decoder = new Decoder({ owner: network, name: 'code by code', layers, room, head });
    return sampler;
  }

  get stepsDone(): number {
    return this.drawn;
  }

  get done(): boolean {
    return this.drawn >= this.steps || this.rows.length === 0;
  }

  /** One code for every image. */
  step(): void {
    if (this.done) return;
    const { network, settings, decoder, drawn } = this;
    if (!decoder) throw new Error('these images were handed over to another sampler, or thrown away');
    const logits = this.mixed(drawn > 0 ? this.readCodes(decoder) : this.readPrompts(decoder));
    this.observe?.(logits);
    const size = network.config.vq.num_embeddings;
    const temperature = scoringTemperature(settings);
    const recorded = logits[settings.imageLogProbs];
    this.rows.forEach(({ codes, logProbs, rng }, b) => {
      codes[drawn] = drawToken(logits.guided, b * size, size, settings, rng);
      logProbs[drawn] = logProbOf(recorded, b * size, size, codes[drawn], temperature);
    });
    this.drawn++;
    if (this.done) this.dispose();
  }

  /** @throws RangeError for an index that is no image's, or comes twice */
  select(indices: readonly number[]): JanusImageSampler {
    const { rows, decoder } = this;
    if (indices.some((i) => !(i in rows)) || new Set(indices).size < indices.length)
      throw new RangeError(`select [${indices}]: expected different ones of ${rows.length} images`);
    const next = new JanusImageSampler(
      this.network,
      indices.map((i) => rows[i]),
      this.settings,
      this.observe,
    );
    next.drawn = this.drawn;
    if (indices.length === 0) decoder?.dispose();
    else {
      if (this.drawn > 0)
        decoder?.select(this.isGuided ? [...indices, ...indices.map((i) => rows.length + i)] : indices);
      next.decoder = decoder;
    }
    this.decoder = undefined;
    return next;
  }

  finish(): ImageSegment<ImageTransition>[] {
    try {
      while (!this.done) this.step();
    } finally {
      this.dispose();
    }
    const side = this.network.config.vq.num_patches;
    const { guidanceScale, imageLogProbs } = this.settings;
    const temperature = scoringTemperature(this.settings);
    return this.rows.map(({ prompt, codes, logProbs }) => {
      const actionMask = new Uint8Array(codes.length).fill(1);
      const decided = { sampledIds: codes, logProbs, actionMask, temperature, guidanceScale, imageLogProbs };
      return {
        name: 'generation',
        codes,
        grid: [side, side],
        transitions: [{ segment: 'generation', prompt, ...decided }],
      };
    });
  }

  dispose(): void {
    this.decoder?.dispose();
    this.decoder = undefined;
  }

  private get isGuided(): boolean {
    return this.settings.guidanceScale !== 1;
  }

  /** All conditional rows first, then the unconditional ones: prompts of one length share theirs. */
  private readPrompts(decoder: Decoder): Float32Array {
    const prompts = this.rows.map(({ prompt }) => prompt.ids);
    const without = this.isGuided ? prompts.map((ids) => unconditionalIds(this.network.config, ids)) : [];
    const { unique, of } = distinct([...prompts, ...without].map((ids) => ids.join()));
    const rows = unique.map((ids) => ids.split(',').map(Number));
    const { network } = this;
    const { ids, counts } = padRight(rows, network.config.tokens.pad);
    return decoder.start(counts, of, (cache) =>
      network.hidden(network.embed(network.embedInputs(ids)), { cache, counts }),
    );
  }

  private readCodes(decoder: Decoder): Float32Array {
    const { network, drawn } = this;
    const codes = this.rows.map((row) => row.codes[drawn - 1]);
    return decoder.next(this.isGuided ? [...codes, ...codes] : codes, (rows, cache) =>
      network.hidden(network.embedCodes(network.codeIds(rows)), { cache }),
    );
  }

  private mixed(all: Float32Array): StepLogits {
    if (!this.isGuided) return { conditional: all, guided: all };
    const half = all.length / 2;
    const [conditional, unconditional] = [all.subarray(0, half), all.subarray(half)];
    const { guidanceScale } = this.settings;
    const guided = conditional.map((c, i) => unconditional[i] + guidanceScale * (c - unconditional[i]));
    return { conditional, unconditional, guided };
  }
}
