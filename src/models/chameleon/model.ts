/** Chameleon and Lumina-mGPT as recipes and evaluation see them: prompts in, text and images out, exact replay. */
import { releaseTraced, type Rng, tf } from '../../engine';
import type { Image } from '../../io';
import { Lora } from '../../nn/adapters';
import { ParamStore } from '../../nn/store';
import { luminaRequest, type TextTokenizer } from '../../text';
import {
  type ConceptRows,
  type ConceptTokenOptions,
  type ImageOptions,
  type InterleavedExample,
  type InterleavedModel,
  type PersonalizableModel,
  type Prompt,
  PromptTooLongError,
  type SampleRequest,
  type SupervisedBatch,
  type SupervisedLossOptions,
  type TextOptions,
  type TextSegment,
  type Trajectory,
  checkFollows,
} from '../unified';
import { type AdaptableModel, type AdapterOptions, checkUnadapted } from '../abilities';
import { CONCEPT_ROWS, ConceptTokens, promptEncoder, wordsOf } from './concept-tokens';
import type { ChameleonConfig } from './config';
import { ChameleonImageTokenizer } from './image-tokenizer';
import { ChameleonLayers } from './layers';
import { endOfRequest, gridOf, imageIds, openImage } from './layout';
import { type ChameleonNetwork } from './network';
import { type ChameleonParts, networkOf, type Ownership, WHOLE } from './parts';
import { type ChameleonTransition, entropiesOf, replayTransitions, type TextTransition } from './policy';
import { type LoadOptions, loadChameleon, saveChameleon, type SaveOptions } from './pretrained';
import { ChameleonImageSampler, segmentsOf } from './sampler';
import { type ChameleonSequenceOptions, samplingPlan, type SamplingPlan, SequenceBatch } from './sequence-batch';
import { supervisedInputs, supervisedLoss } from './supervised';

export interface ChameleonPrompt extends Prompt {
  /** Begin token included; what is drawn begins with an image's begin token at the end. */
  readonly ids: readonly number[];
}

type Requests = readonly SampleRequest<ChameleonPrompt>[];

/** Layers that get an adapter unless others are asked for. */
const ATTENTION = ['q_proj', 'k_proj', 'v_proj', 'o_proj'];

type Shown = readonly InterleavedExample[];

export class ChameleonModel
  implements
    AdaptableModel<ChameleonPrompt, ChameleonTransition>,
    PersonalizableModel<ChameleonPrompt, ChameleonTransition>,
    InterleavedModel<ChameleonPrompt, ChameleonTransition>
{
  readonly modelType = 'chameleon';
  private current: ChameleonNetwork;

  /** @param parts disposed with the model */
  constructor(
    private parts: ChameleonParts,
    private readonly owns: Ownership = WHOLE,
  ) {
    this.current = networkOf(parts);
  }

  /**
   * A model with random weights.
   * @param imageTokenizer default: a random one
   * @throws ChameleonConfigError for a vocabulary that does not fit
   */
  static random(
    config: ChameleonConfig,
    imageTokenizer: ChameleonImageTokenizer | undefined,
    tokenizer: TextTokenizer | undefined,
    rng: Rng,
  ): ChameleonModel {
    const images = imageTokenizer ?? ChameleonImageTokenizer.random(config, rng.split('images'));
    const layers = new ChameleonLayers(config.text);
    const store = ParamStore.random(layers, rng.split('language'));
    return new ChameleonModel({ config, layers: layers.with(store), store, imageTokenizer: images, tokenizer });
  }

  /**
   * Loads a checkpoint in Hugging Face's layout: `config.json`, `model.safetensors` or its shards, `tokenizer.json`, and,
   * for decoding images, the whole VQGAN in `vqgan/` (`config.json` and `model.safetensors`, taming-transformers' names).
   * @throws CheckpointMismatchError listing every unknown, missing and mis-shaped tensor; an error naming the file that
   *   is missing or damaged; ChameleonConfigError
   */
  static async fromPretrained(folder: string, options: LoadOptions = {}): Promise<ChameleonModel> {
    return new ChameleonModel(await loadChameleon(folder, options));
  }

  /** The language model as it computes. */
  get network(): ChameleonNetwork {
    return this.current;
  }

  /** The language model's layers, without what stands around them. */
  get layers(): ChameleonLayers {
    return this.parts.layers;
  }

  /** The numbers of those layers. */
  get store(): ParamStore {
    return this.parts.store;
  }

  get imageTokenizer(): ChameleonImageTokenizer {
    return this.parts.imageTokenizer;
  }

  get config(): ChameleonConfig {
    return this.parts.config;
  }

  /** The language model's, or its adapters', and a subject's rows. The image tokenizer is frozen. */
  variables(): Readonly<Record<string, tf.Variable>> {
    return this.owns.learns ? this.current.layers.variables() : {};
  }

  /**
   * Puts adapters around the layers: from now on they learn, and the layers stand still.
   * @param adapters made of {@link layers}, by `Lora.create` or `loadAdapters`; disposed with the model
   * @throws Error when there are adapters already
   */
  attachAdapters(adapters: Lora<ChameleonLayers>): void {
    checkUnadapted(this);
    this.change({ adapters });
  }

  addAdapters({ targets = ATTENTION, ...options }: AdapterOptions, rng: Rng): void {
    checkUnadapted(this);
    this.attachAdapters(Lora.create(this.layers, { ...options, targets }, rng));
  }

  get adapters(): Lora<ChameleonLayers> | undefined {
    return this.parts.adapters;
  }

  /** Whether blocks are computed again for the gradient: one forward pass more, for memory that grows less with depth. */
  set gradientCheckpointing(checkpointing: boolean) {
    this.change({ checkpointing });
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
    for (const { prompt } of requests)
      if (openImage(this.current.vocabulary, prompt.ids) >= 0)
        throw new RangeError('the prompt ends inside an image: it cannot be continued in words');
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

  entropies(transitions: readonly ChameleonTransition[]): tf.Tensor2D {
    return entropiesOf(this.current, transitions);
  }

  supervisedBatch(examples: Shown, rng: Rng, options?: SupervisedLossOptions): SupervisedBatch {
    const { text, imageTokenizer, current: network } = this;
    const { tensors, weights } = supervisedInputs({ network, text, imageTokenizer }, examples, rng, options);
    return { tensors, loss: () => supervisedLoss(network, { tensors, weights }) };
  }

  supervisedLoss(examples: Shown, rng: Rng, options?: SupervisedLossOptions): tf.Scalar {
    return tf.tidy(() => this.supervisedBatch(examples, rng, options).loss());
  }

  frozenCopy(dtype: 'F32' | 'BF16' = 'F32', follows = false): ChameleonModel {
    checkFollows(follows, dtype);
    const { config, layers, store, imageTokenizer, tokenizer, adapters: learned, concept } = this.parts;
    const adapters = learned?.merged ? undefined : learned?.clone();
    // What lies under adapters stands still already.
    const copy = adapters ? store : store.clone(dtype);
    const still = {
      config,
      layers: layers.with(copy),
      store: copy,
      imageTokenizer,
      tokenizer,
      adapters,
      concept: concept?.clone(),
    };
    return new ChameleonModel(still, { learns: follows, store: copy !== store, imageTokenizer: false });
  }

  addConceptTokens(options: ConceptTokenOptions, rng: Rng): ConceptRows {
    if (this.parts.concept) throw new Error('this model has a subject already: remove its tokens first');
    this.change({ concept: ConceptTokens.create(this.parts.layers, this.text, options, rng) });
    return CONCEPT_ROWS;
  }

  removeConceptTokens(): void {
    this.parts.concept?.dispose();
    this.change({ concept: undefined });
  }

  /** Saves as {@link ChameleonModel.fromPretrained} reads; `config.json` last, so that a half-written folder is no checkpoint. */
  async savePretrained(folder: string, options: SaveOptions = {}): Promise<void> {
    const { adapters, store } = this.parts;
    await saveChameleon(folder, { ...this.parts, store: adapters ? adapters.sum(store) : store }, options);
  }

  dispose(): void {
    const { store, concept, adapters, imageTokenizer } = this.parts;
    concept?.dispose();
    adapters?.store.dispose();
    releaseTraced(this.current);
    if (this.owns.store) store.dispose();
    if (this.owns.imageTokenizer) imageTokenizer.dispose();
  }

  private change(parts: Partial<ChameleonParts>): void {
    releaseTraced(this.current);
    this.parts = { ...this.parts, ...parts };
    this.current = networkOf(this.parts);
  }

  /** @throws Error when the checkpoint had none */
  private get text(): TextTokenizer {
    const { tokenizer } = this.parts;
    if (!tokenizer) throw new Error('this Chameleon has no tokenizer: there is no tokenizer.json in its folder');
    return tokenizer;
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
    const { tokenizer, concept } = this.parts;
    const { bos, eos, pad, boi, separator } = this.current.vocabulary;
    const said = ids.filter((id) => ![bos, eos, pad, boi, separator].includes(id));
    return tokenizer ? wordsOf(tokenizer, concept, said) : '';
  }
}

const idsOf = (requests: Requests) => requests.map(({ prompt, rng }) => ({ prompt: prompt.ids, rng }));

function checkTask(requests: Requests, ...tasks: readonly Prompt['task'][]): void {
  for (const { prompt } of requests)
    if (!tasks.includes(prompt.task))
      throw new RangeError(`a prompt made to ${prompt.task} was given where one to ${tasks.join(' or ')} was expected`);
}
