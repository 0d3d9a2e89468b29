/**
 * Sampling images, code after code. With guidance every image has two rows, one with the
 * condition and one without, which are given the same codes: logits = unconditional + s (conditional - unconditional).
 */
import { DRAWN, drawRecorded, readValues, type Rng, tf } from '../../engine';
import { Decoder, distinct, padRight } from '../../nn/decoder';
import { llamaRotary } from '../../nn/llama';
import {
  checkSampling,
  drawsFromAll,
  drawToken,
  logProbOf,
  type SamplingOptions,
  scoringTemperature,
} from '../../nn/token-sampling';
import type { ImageOptions, ImageSampler, ImageSegment, SampleRequest } from '../unified';
import { imageCodes } from './config';
import { type GenerationPrompt, type JanusPrompt, promptOf, unconditionalIds } from './layout';
import type { JanusNetwork } from './network';
import type { ImageLogProbs, ImageTransition } from './policy';

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

type CodeDecoder = Decoder<{ ids: tf.Tensor2D }>;

function codeDecoder(network: JanusNetwork, room: number): CodeDecoder {
  return new Decoder({
    owner: network,
    name: 'code by code',
    layers: network.config.text.num_hidden_layers,
    room,
    rotary: llamaRotary(network.config.text),
    inputs: (rows) => ({ ids: network.codeIds(rows) }),
    read: ({ ids }, { tables, ...at }) => network.hidden(network.embedCodes(ids), { ...at, positions: tables }),
    head: (hidden) => network.codeLogits(hidden),
  });
}

type Settings = SamplingOptions & { readonly guidanceScale: number; readonly imageLogProbs: ImageLogProbs };

/** Images on the way; see `ImageSampler`. */
export class JanusImageSampler implements ImageSampler<ImageTransition> {
  readonly steps: number;
  /** Absent once the images have been handed over to another sampler, or thrown away. */
  private decoder: CodeDecoder | undefined;
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
    sampler.decoder = codeDecoder(network, room);
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
    const { settings, decoder, drawn } = this;
    if (!decoder) throw new Error('these images were handed over to another sampler, or thrown away');
    const logits = drawn > 0 ? this.readCodes(decoder) : this.readPrompts(decoder);
    if (this.observe || !drawsFromAll(settings)) this.chooseCodes(readValues(() => logits));
    else this.drawCodes(logits);
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
  private readPrompts(decoder: CodeDecoder): tf.Tensor2D {
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

  private readCodes(decoder: CodeDecoder): tf.Tensor2D {
    const { drawn } = this;
    const codes = this.rows.map((row) => row.codes[drawn - 1]);
    return decoder.next(this.isGuided ? [...codes, ...codes] : codes);
  }

  /** Draws where the logits are, of which there are thousands a code. @param logits disposed */
  private drawCodes(logits: tf.Tensor2D): void {
    const { rows, drawn, settings } = this;
    const { temperature = 1, guidanceScale, imageLogProbs } = settings;
    const n = rows.length;
    const draw = (): tf.Tensor => {
      const numbers = tf.tensor1d(Float32Array.from(rows, ({ rng }) => rng.uniform()));
      const at = temperature === 1 ? logits : tf.div<tf.Tensor2D>(logits, temperature);
      return drawRecorded(at, tf.fill([n], DRAWN, 'int32'), numbers, guidanceScale, imageLogProbs);
    };
    let values: Float32Array;
    try {
      values = readValues(draw);
    } finally {
      logits.dispose();
    }
    rows.forEach(({ codes, logProbs }, b) => {
      codes[drawn] = values[b];
      logProbs[drawn] = values[values.length - n + b];
    });
  }

  /** Chooses among some of the codes, or shows the logits. */
  private chooseCodes(all: Float32Array): void {
    const { network, rows, drawn, settings } = this;
    const logits = this.mixed(all);
    this.observe?.(logits);
    const size = network.config.vq.num_embeddings;
    const temperature = scoringTemperature(settings);
    const recorded = logits[settings.imageLogProbs];
    rows.forEach(({ codes, logProbs, rng }, b) => {
      codes[drawn] = drawToken(logits.guided, b * size, size, settings, rng);
      logProbs[drawn] = logProbOf(recorded, b * size, size, codes[drawn], temperature);
    });
  }

  private mixed(all: Float32Array): StepLogits {
    if (!this.isGuided) return { conditional: all, guided: all };
    const half = all.length / 2;
    const [conditional, unconditional] = [all.subarray(0, half), all.subarray(half)];
    const { guidanceScale } = this.settings;
    const guided = new Float32Array(half);
    for (let i = 0; i < half; i++) guided[i] = unconditional[i] + guidanceScale * (conditional[i] - unconditional[i]);
    return { conditional, unconditional, guided };
  }
}
