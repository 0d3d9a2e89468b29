/**
 * Janus (Wu et al. 2024; Janus-Pro: Chen et al. 2025) as one object: text and images in, text and images out. The same
 * class for the mini model and for published checkpoints.
 *
 * ```ts
 * const model = await JanusModel.fromPretrained('data/checkpoints/janus-mini');
 * const prompt = model.prompt([image, 'what is in the picture ?'], 'understand');
 * const [answer] = model.sampleText([{ prompt, rng: new Rng(1) }]);   // answer.text
 * ```
 */
import { releaseTraced, type Rng, tf } from '../../engine';
import type { Image } from '../../io';
import { Lora } from '../../nn/adapters';
import type { TextTokenizer } from '../../text/tokenizer';
import {
  type ConceptRows,
  type ConceptTokenOptions,
  type ImageOptions,
  type PersonalizableModel,
  type Prompt,
  type SampleRequest,
  type SupervisedBatch,
  type SupervisedExample,
  type SupervisedLossOptions,
  type TextOptions,
  type TextSegment,
  checkFollows,
} from '../unified';
import {
  type AdaptableModel,
  type AdapterOptions,
  checkUnadapted,
  type ExtensibleModel,
  type RepresentingModel,
  type TokenStates,
} from '../abilities';
import { addWords } from './add-words';
import { CONCEPT_ROWS, ConceptTokens } from './concept-tokens';
import type { JanusConfig } from './config';
import { isTokenizerParameter, JanusImageTokenizer } from './image-tokenizer';
import type { JanusPrompt, UnderstandingPrompt } from './layout';
import { type JanusLayers, JanusNetwork } from './network';
import { type Around, networkOf, type Ownership, WHOLE } from './parts';
import { entropiesOf, type JanusTransition, replay, type TextTransition } from './policy';
import { type LoadOptions, readPretrained, type SaveOptions, writePretrained } from './pretrained';
import { JanusPrompts } from './prompts';
import { JanusImageSampler } from './sampler';
import { sampleText } from './text-sampler';
import { supervisedInputs, supervisedLoss } from './supervised';
import { tokenStates } from './token-states';

/** Layers that get an adapter unless others are asked for: the language model's attention, not the vision tower's. */
const ATTENTION = /model\.language_model\..*\.self_attn\.[qkvo]_proj/;

export class JanusModel
  implements
    AdaptableModel<JanusPrompt, JanusTransition>,
    PersonalizableModel<JanusPrompt, JanusTransition>,
    RepresentingModel<JanusPrompt, JanusTransition>,
    ExtensibleModel<JanusPrompt, JanusTransition>
{
  readonly modelType = 'janus';
  readonly imageTokenizer: JanusImageTokenizer;
  private prompts: JanusPrompts;
  private current: JanusNetwork;

  private around: Around = {};

  /**
   * @param network without anything around its layers; disposed with the model
   * @param owns what of it is this model's own. Default: everything
   */
  constructor(
    private readonly base: JanusNetwork,
    readonly tokenizer: TextTokenizer,
    private readonly owns: Ownership = WHOLE,
  ) {
    this.current = base;
    this.imageTokenizer = new JanusImageTokenizer(base.config.vq, base.layers.model.vqmodel);
    this.prompts = new JanusPrompts(base.config, tokenizer, base.concept);
  }

  /** A model with random weights. @throws JanusConfigError */
  static random(config: JanusConfig, tokenizer: TextTokenizer, rng: Rng): JanusModel {
    return new JanusModel(JanusNetwork.random(config, rng), tokenizer);
  }

  /**
   * Loads a folder as transformers' `save_pretrained` writes it (and {@link savePretrained} too), or as deepseek's own
   * repository has it, with its names: `config.json`, weights as safetensors in one file or in shards, `tokenizer.json`,
   * and `generation_config.json` where there is one. One tensor is read at a time.
   * @throws JanusConfigError, CheckpointMismatchError (every missing, unknown and mis-shaped tensor), SafetensorsError
   */
  static async fromPretrained(folder: string, options: LoadOptions = {}): Promise<JanusModel> {
    const { network, tokenizer } = await readPretrained(folder, options);
    return new JanusModel(network, tokenizer);
  }

  /**
   * Saves as {@link fromPretrained} and transformers read it; tied weights once. What stood there before stays until the
   * new weights are complete on the disk. A subject's tokens go into a file of their own.
   */
  savePretrained(folder: string, options: SaveOptions = {}): Promise<void> {
    const { config, store, concept } = this.current;
    const summed = this.adapters?.sum(store) ?? store;
    return writePretrained(folder, { config, store: summed, concept }, this.tokenizer, options);
  }

  /** What computes. Another one after something was put around the layers. */
  get network(): JanusNetwork {
    return this.current;
  }

  /** All layers, without what stands around them. */
  get layers(): JanusLayers {
    return this.base.layers;
  }

  get adapters(): Lora<JanusLayers> | undefined {
    return this.around.adapters;
  }

  get config(): JanusConfig {
    return this.base.config;
  }

  /** Everything but the image tokenizer, whose codes are what the rest learns; or the adapters, and a subject's rows. */
  variables(): Record<string, tf.Variable> {
    if (!this.owns.learns) return {};
    const named = Object.entries(this.network.layers.variables());
    const own = Object.fromEntries(named.filter(([name]) => !isTokenizerParameter(name)));
    const { concept } = this.network;
    return concept ? { ...own, [CONCEPT_ROWS.embed]: concept.embed, [CONCEPT_ROWS.output]: concept.output } : own;
  }

  addAdapters({ targets = ATTENTION, ...options }: AdapterOptions, rng: Rng): void {
    checkUnadapted(this);
    this.attachAdapters(Lora.create(this.layers, { ...options, targets }, rng));
  }

  /**
   * Puts adapters around the layers: from now on they learn, and the layers stand still.
   * @param adapters made of {@link layers}, by `Lora.create` or `loadAdapters`; disposed with the model
   * @throws Error when there are adapters already
   */
  attachAdapters(adapters: Lora<JanusLayers>): void {
    checkUnadapted(this);
    this.change({ adapters });
  }

  /** Whether the language model's blocks are computed again for the gradient: see {@link AdaptableModel}. */
  set gradientCheckpointing(checkpointing: boolean) {
    this.change({ checkpointing });
  }

  /**
   * A prompt of text and images in order. A published model is asked in the conversation format that it was trained
   * with, which its tokenizer tells; the mini model as its training did, text as it is.
   * @param parts images of the size that the model sees
   * @throws PromptTooLongError; RangeError for an image of another size, or where none can stand
   */
  prompt(parts: readonly (string | Image)[], task: Prompt['task']): JanusPrompt {
    return this.prompts.prompt(parts, task);
  }

  sampleText(
    requests: readonly SampleRequest<JanusPrompt>[],
    options: TextOptions = {},
  ): TextSegment<TextTransition>[] {
    return sampleText(this.network, requests, (ids) => this.prompts.textOf(ids), options);
  }

  imageSampler(requests: readonly SampleRequest<JanusPrompt>[], options: ImageOptions = {}): JanusImageSampler {
    return JanusImageSampler.start(this.network, requests, options);
  }

  replay(transitions: readonly JanusTransition[]): tf.Tensor2D {
    return replay(this.network, transitions);
  }

  entropies(transitions: readonly JanusTransition[]): tf.Tensor2D {
    return entropiesOf(this.network, transitions);
  }

  supervisedBatch(
    examples: readonly SupervisedExample[],
    rng: Rng,
    options: SupervisedLossOptions = {},
  ): SupervisedBatch {
    const { network, prompts, imageTokenizer } = this;
    const { tensors, weights } = supervisedInputs({ network, prompts, imageTokenizer }, examples, rng, options);
    return { tensors, loss: () => supervisedLoss(network, { tensors, weights }) };
  }

  supervisedLoss(examples: readonly SupervisedExample[], rng: Rng, options: SupervisedLossOptions = {}): tf.Scalar {
    return tf.tidy(() => this.supervisedBatch(examples, rng, options).loss());
  }

  tokenStates(images: readonly Image[], texts: readonly string[]): TokenStates[] {
    const prompts = images.map((image, i) => this.prompt([image, texts[i]], 'understand') as UnderstandingPrompt);
    return tokenStates(this.network, prompts);
  }

  frozenCopy(dtype: 'F32' | 'BF16' = 'F32', follows = false): JanusModel {
    checkFollows(follows, dtype);
    const { config, store, concept } = this.network;
    const adapters = this.adapters?.merged ? undefined : this.adapters?.clone();
    // What lies under adapters stands still already.
    const network = new JanusNetwork(config, adapters ? store : store.clone(dtype));
    network.concept = concept?.clone();
    const copy = new JanusModel(network, this.tokenizer, { learns: follows, store: !adapters });
    if (adapters) copy.attachAdapters(adapters);
    return copy;
  }

  addConceptTokens(options: ConceptTokenOptions, rng: Rng): ConceptRows {
    const { network, tokenizer } = this;
    if (network.concept) throw new Error('this model has concept tokens already: remove them first');
    const words = tokenizer.encode(options.initializer);
    if (words.length !== 1)
      throw new Error(`the initializer '${options.initializer}' is ${words.length} tokens, expected one known word`);
    const row = (table: string) =>
      tf.slice(network.store.get(table) as tf.Tensor2D, [words[0], 0], [1, network.config.text.hidden_size]);
    const [embed, output] = tf.tidy(() => [row('model.language_model.embed_tokens.weight'), row('lm_head.weight')]);
    try {
      network.concept = ConceptTokens.create(options, network.config.text.vocab_size, embed, output, rng);
    } finally {
      tf.dispose([embed, output]);
    }
    this.prompts = new JanusPrompts(network.config, tokenizer, network.concept);
    return CONCEPT_ROWS;
  }

  async withWords(words: Readonly<Record<string, string>>, rng: Rng): Promise<JanusModel> {
    const fresh = Object.entries(words).filter(([word]) => this.tokenizer.idOf(word) === undefined);
    if (fresh.length === 0) return this;
    if (this.adapters) throw new Error('this model has adapters, which would be lost: it learns new words before them');
    const { network, tokenizer } = await addWords(this.network, this.tokenizer, Object.fromEntries(fresh), rng);
    this.dispose();
    return new JanusModel(network, tokenizer, { ...this.owns, store: true });
  }

  removeConceptTokens(): void {
    this.network.concept?.dispose();
    this.network.concept = undefined;
    this.prompts = new JanusPrompts(this.config, this.tokenizer);
  }

  dispose(): void {
    releaseTraced(this.imageTokenizer);
    releaseTraced(this.network);
    this.network.concept?.dispose();
    this.adapters?.store.dispose();
    if (this.owns.store) this.base.store.dispose();
  }

  private change(around: Around): void {
    releaseTraced(this.current);
    this.around = { ...this.around, ...around };
    this.current = networkOf(this.base, this.current.concept, this.around);
  }
}
