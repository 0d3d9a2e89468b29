/** Chameleon and Lumina-mGPT as recipes and evaluation see them: prompts in, text and images out, exact replay. */
import type { Rng, tf } from '../../engine';
import type { Image } from '../../io';
import { Bf16Parameters } from '../../nn/freeze';
import { LoraParameters } from '../../nn/lora';
import { Parameters } from '../../nn/parameters';
import { VqganTokenizer } from '../../nn/vqgan-tokenizer';
import { luminaRequest, type TextTokenizer } from '../../text';
import {
  type ConceptRows,
  type ConceptTokenOptions,
  type ImageOptions,
  type InterleavedModel,
  type PersonalizableModel,
  type Prompt,
  PromptTooLongError,
  type SampleRequest,
  type SupervisedExample,
  type SupervisedLossOptions,
  type TextOptions,
  type TextSegment,
  type Trajectory,
} from '../unified';
import { ConceptTokens, promptEncoder, wordsOf } from './concept-tokens';
import type { ChameleonConfig } from './config';
import { ChameleonImageTokenizer } from './image-tokenizer';
import { endOfRequest, gridOf, imageIds } from './layout';
import { ChameleonNetwork, chameleonSpecs } from './network';
import { type ChameleonTransition, replayTransitions, type TextTransition } from './policy';
import { type LoadOptions, loadChameleon, saveChameleon, type SaveOptions } from './pretrained';
import { ChameleonImageSampler, segmentsOf } from './sampler';
import { type ChameleonSequenceOptions, samplingPlan, type SamplingPlan, SequenceBatch } from './sequence-batch';
import { supervisedLoss } from './supervised';

export interface ChameleonPrompt extends Prompt {
  /** Begin token included; what is drawn begins with an image's begin token at the end. */
  readonly ids: readonly number[];
}

/** What a copy shares with its original: nothing of that learns or is disposed of with it. */
interface Sharing {
  readonly learns: boolean;
  readonly ownsParameters: boolean;
  readonly ownsImageTokenizer: boolean;
}

const WHOLE: Sharing = { learns: true, ownsParameters: true, ownsImageTokenizer: true };
const CONCEPT_ROWS: ConceptRows = { embed: 'model.embed_tokens.extra.weight', output: 'lm_head.extra.weight' };

type Requests = readonly SampleRequest<ChameleonPrompt>[];

export class ChameleonModel
  implements
    PersonalizableModel<ChameleonPrompt, ChameleonTransition>,
    InterleavedModel<ChameleonPrompt, ChameleonTransition>
{
  readonly modelType = 'chameleon';
  private current: ChameleonNetwork;

  /**
   * @param network the language model; disposed with this, as is the image tokenizer
   * @param tokenizer of the text; none: prompts and answers are ids only
   */
  constructor(
    network: ChameleonNetwork,
    readonly imageTokenizer: ChameleonImageTokenizer,
    readonly tokenizer: TextTokenizer | undefined,
    private readonly sharing: Sharing = WHOLE,
  ) {
    this.current = network;
  }

  /**
   * A model with random weights.
   * @param imageTokenizer default: a random one
   * @throws ChameleonConfigError for a vocabulary that does not fit, RangeError for another tokenizer's size
   */
  static random(
    config: ChameleonConfig,
    imageTokenizer: VqganTokenizer | undefined,
    tokenizer: TextTokenizer | undefined,
    rng: Rng,
  ): ChameleonModel {
    const vqgan = imageTokenizer ?? VqganTokenizer.random(config.vq, rng.split('images'));
    const parameters = Parameters.random(chameleonSpecs(config), rng.split('language'));
    return ChameleonModel.of(config, parameters, vqgan, tokenizer);
  }

  /**
   * Loads a checkpoint in Hugging Face's layout: `config.json`, `model.safetensors` or its shards, `tokenizer.json`, and,
   * for decoding images, the whole VQGAN in `vqgan/` (`config.json` and `model.safetensors`, taming-transformers' names).
   * @throws CheckpointMismatchError listing every unknown, missing and mis-shaped tensor; an error naming the file that
   *   is missing or damaged; ChameleonConfigError
   */
  static async fromPretrained(folder: string, options: LoadOptions = {}): Promise<ChameleonModel> {
    const { config, parameters, imageTokenizer, tokenizer, concept } = await loadChameleon(folder, options);
    return ChameleonModel.of(config, parameters, imageTokenizer, tokenizer, concept);
  }

  private static of(
    config: ChameleonConfig,
    parameters: Parameters,
    vqgan: VqganTokenizer | undefined,
    tokenizer: TextTokenizer | undefined,
    concept?: ConceptTokens,
  ): ChameleonModel {
    const network = new ChameleonNetwork(config, parameters, concept);
    return new ChameleonModel(network, new ChameleonImageTokenizer(config, vqgan), tokenizer);
  }

  /** The language model, with the subject's tokens where there are any. */
  get network(): ChameleonNetwork {
    return this.current;
  }

  get config(): ChameleonConfig {
    return this.current.config;
  }

  /** The language model's. The image tokenizer is frozen. */
  variables(): Readonly<Record<string, tf.Variable>> {
    if (!this.sharing.learns) return {};
    const { parameters, concept } = this.current;
    if (!concept) return parameters.variables;
    return { ...parameters.variables, [CONCEPT_ROWS.embed]: concept.embed, [CONCEPT_ROWS.output]: concept.output };
  }

  /**
   * `bos parts..`; then the separator in conversations, and the begin token of an image that is to be drawn.
   * @throws PromptTooLongError; RangeError for an image of another size than the model sees; Error without a tokenizer
   */
  prompt(parts: readonly (string | Image)[], task: Prompt['task']): ChameleonPrompt {
    const { config, vocabulary: v, concept } = this.current;
    const { stride } = this.imageTokenizer;
    const words = promptEncoder(this.text, concept);
    const images = parts.filter((part): part is Image => typeof part !== 'string');
    const grids = new Map(images.map((image) => [image, gridOf(config, stride, image)]));
    const codes = images.length > 0 ? this.imageTokenizer.encode(images) : [];
    const ids = [v.bos];
    for (const part of task === 'generate' ? this.request(parts) : parts)
      if (typeof part === 'string') ids.push(...words(part));
      else ids.push(...imageIds(config, v, codes[images.indexOf(part)], grids.get(part)));
    ids.push(...endOfRequest(config, v), ...(task === 'generate' ? [v.boi] : []));
    const positions = config.text.max_position_embeddings;
    if (ids.length > positions)
      throw new PromptTooLongError(`the prompt has ${ids.length} tokens; the model has ${positions} positions`);
    return { task, ids };
  }

  sampleText(requests: Requests, options: TextOptions = {}): TextSegment<TextTransition>[] {
    checkTask(requests, 'understand', 'interleave');
    const trajectories = this.sampleSequences(requests, { text: options, maxImages: 0 });
    return trajectories.map(({ segments }) => segments[0] as TextSegment<TextTransition>);
  }

  /** One code a step. Masked decoding's options mean nothing here. */
  imageSampler(requests: Requests, options: ImageOptions = {}): ChameleonImageSampler {
    checkTask(requests, 'generate');
    const plan = samplingPlan(this.current, { image: options, maxImages: 1 });
    const alone: SamplingPlan = { ...plan, text: { ...plan.text, maxNewTokens: 0 } };
    return new ChameleonImageSampler(this.current, SequenceBatch.start(this.current, idsOf(requests), alone), alone);
  }

  /**
   * Text, and images where the text begins them, up to an end token or the limit on text. `maxNewTokens` counts the text
   * of a whole sequence; tokens of images are not among them.
   */
  sampleSequences(requests: Requests, options: ChameleonSequenceOptions = {}): Trajectory<ChameleonTransition>[] {
    const network = this.current;
    const plan = samplingPlan(network, options);
    const sequences = SequenceBatch.start(network, idsOf(requests), plan).finish();
    return sequences.map((sequence) => ({
      segments: segmentsOf(network, sequence, plan, (ids) => this.say(ids)),
    }));
  }

  replay(transitions: readonly ChameleonTransition[]): tf.Tensor2D {
    return replayTransitions(this.current, transitions);
  }

  supervisedLoss(examples: readonly SupervisedExample[], rng: Rng, options?: SupervisedLossOptions): tf.Scalar {
    const { text, imageTokenizer, current: network } = this;
    return supervisedLoss({ network, text, imageTokenizer }, examples, rng, options);
  }

  frozenCopy(dtype: 'F32' | 'BF16' = 'F32'): ChameleonModel {
    const { config, parameters, concept } = this.current;
    // What lies under adapters stands still already.
    const base = parameters instanceof LoraParameters ? parameters.base : undefined;
    const copy = base ?? (dtype === 'BF16' ? Bf16Parameters.copy(parameters) : parameters.clone());
    const network = new ChameleonNetwork(config, copy, concept?.clone());
    const sharing = { learns: false, ownsParameters: base === undefined, ownsImageTokenizer: false };
    return new ChameleonModel(network, this.imageTokenizer, this.tokenizer, sharing);
  }

  addConceptTokens(options: ConceptTokenOptions, rng: Rng): ConceptRows {
    const { config, parameters, concept } = this.current;
    if (concept) throw new Error('this model has a subject already: remove its tokens first');
    const [embed, output] = ['model.embed_tokens.weight', 'lm_head.weight'].map(
      (name) => parameters.get(name) as tf.Tensor2D,
    );
    const tokens = ConceptTokens.create({ embed, output }, this.text, options, rng);
    this.current = new ChameleonNetwork(config, parameters, tokens);
    return CONCEPT_ROWS;
  }

  removeConceptTokens(): void {
    const { config, parameters, concept } = this.current;
    concept?.dispose();
    this.current = new ChameleonNetwork(config, parameters);
  }

  /** Saves as {@link ChameleonModel.fromPretrained} reads; `config.json` last, so that a half-written folder is no checkpoint. */
  async savePretrained(folder: string, options: SaveOptions = {}): Promise<void> {
    const { config, parameters, concept } = this.current;
    const { imageTokenizer, tokenizer } = this;
    const vqgan = imageTokenizer.present ? imageTokenizer.vqgan : undefined;
    await saveChameleon(folder, { config, parameters, concept, tokenizer, imageTokenizer: vqgan }, options);
  }

  dispose(): void {
    this.current.concept?.dispose();
    if (this.sharing.ownsParameters) this.current.parameters.dispose();
    if (this.sharing.ownsImageTokenizer) this.imageTokenizer.dispose();
  }

  /** @throws Error when the checkpoint had none */
  private get text(): TextTokenizer {
    if (!this.tokenizer) throw new Error('this Chameleon has no tokenizer: there is no tokenizer.json in its folder');
    return this.tokenizer;
  }

  /** What is asked for an image: Lumina-mGPT is told its size first. */
  private request(parts: readonly (string | Image)[]): readonly (string | Image)[] {
    const { config } = this.current;
    if (config.layout !== 'lumina' || config.prompt_format !== 'conversation') return parts;
    const { grid, stride } = this.imageTokenizer;
    const [first, ...rest] = parts;
    const words = typeof first === 'string' ? first : '';
    const request = luminaRequest(words, grid[1] * stride, grid[0] * stride);
    return typeof first === 'string' ? [request, ...rest] : [request, ...parts];
  }

  /** Ids of text as words, special tokens left out. */
  private say(ids: readonly number[]): string {
    if (!this.tokenizer) return '';
    const { vocabulary: v, concept } = this.current;
    const special = new Set([v.bos, v.eos, v.pad, v.boi, v.separator]);
    return wordsOf(
      this.tokenizer,
      concept,
      ids.filter((id) => !special.has(id)),
    );
  }
}

const idsOf = (requests: Requests) => requests.map(({ prompt, rng }) => ({ prompt: prompt.ids, rng }));

function checkTask(requests: Requests, ...tasks: readonly Prompt['task'][]): void {
  for (const { prompt } of requests)
    if (!tasks.includes(prompt.task))
      throw new RangeError(`a prompt made to ${prompt.task} was given where one to ${tasks.join(' or ')} was expected`);
}
