/** Show-o (Xie et al. 2024) by text and images: one class for the mini model and for real checkpoints. */
import { type Rng, tf, releaseTraced } from '../../engine';
import type { Image } from '../../io';
import { Lora } from '../../nn/adapters';
import { ParamStore } from '../../nn/store';
import { scoringTemperature } from '../../nn/token-sampling';
import type { TextTokenizer } from '../../text/tokenizer';
import {
  type ConceptRows,
  type ConceptTokenOptions,
  type ImageTokenizer,
  type PersonalizableModel,
  type SampleRequest,
  type SupervisedBatch,
  type SupervisedExample,
  type SupervisedLossOptions,
  type TextOptions,
  type TextSegment,
  checkFollows,
} from '../unified';
import { type AdaptableModel, type AdapterOptions, checkUnadapted } from '../abilities';
import { ConceptTokens, CONCEPT_ROWS } from './concept-tokens';
import { imageGrid, type ShowoConfig } from './config';
import type { MagvitTokenizer } from './image-tokenizer';
import { conditionTokens, textPrefix, understandingPrefix } from './layout';
import { ShowoLayers } from './layers';
import type { ShowoNetwork } from './network';
import { networkOf, type Ownership, type ShowoParts, WHOLE } from './parts';
import { entropiesOf, replayTransitions, type ShowoTransition, textTransition, type TextTransition } from './policy';
import { type LoadOptions, loadParts, loadText, readConfig, saveParts, type SaveOptions } from './pretrained';
import { SeenImages } from './seen-images';
import { type ShowoImageOptions, ShowoImageSampler } from './sampler';
import { type ExampleEncoder, imageOf, supervisedInputs, supervisedLoss, wordsOf } from './supervised';
import { sampleTexts, type TextRow } from './text-sampler';

/** What the model is asked: a row of text to be continued, or the prompt of an image. */
export type ShowoPrompt =
  | { readonly task: 'understand'; readonly row: TextRow }
  | { readonly task: 'generate'; readonly condition: readonly number[] };

/** Layers that get an adapter unless others are asked for. */
const ATTENTION = ['q_proj', 'k_proj', 'v_proj', 'dense'];

export class ShowoModel
  implements PersonalizableModel<ShowoPrompt, ShowoTransition>, AdaptableModel<ShowoPrompt, ShowoTransition>
{
  readonly modelType = 'showo';
  readonly imageTokenizer: ImageTokenizer;
  private current: ShowoNetwork;
  private readonly images: SeenImages;

  /**
   * @param parts disposed with the model
   * @throws RangeError when the image tokenizer has another number of codes than the network
   */
  constructor(
    private parts: ShowoParts,
    private readonly owns: Ownership = WHOLE,
  ) {
    const { layers, magvit } = parts;
    if (magvit.codebookSize !== layers.config.codebook_size)
      throw new RangeError(
        `the image tokenizer has ${magvit.codebookSize} codes, the transformer expects ${layers.config.codebook_size}`,
      );
    this.current = networkOf(parts);
    const grid = imageGrid(layers.config);
    this.images = new SeenImages(magvit, grid);
    this.imageTokenizer = {
      grid,
      stride: magvit.stride,
      encode: (images) => this.images.encode(images),
      decode: (codes, shape = grid) => magvit.decode(codes, shape),
    };
  }

  /** A model with random weights around a trained (or random) image tokenizer. */
  static random(config: ShowoConfig, magvit: MagvitTokenizer, tokenizer: TextTokenizer, rng: Rng): ShowoModel {
    const layers = new ShowoLayers(config);
    return ShowoModel.of(layers, ParamStore.random(layers, rng), magvit, tokenizer);
  }

  /** @param layers without numbers @param store their numbers */
  static of(layers: ShowoLayers, store: ParamStore, magvit: MagvitTokenizer, tokenizer: TextTokenizer): ShowoModel {
    return new ShowoModel({ layers: layers.with(store), store, magvit, tokenizer });
  }

  /**
   * Loads a folder written by {@link ShowoModel.savePretrained}: `config.json`, `model.safetensors` or its shards,
   * `tokenizer.safetensors` (images), `tokenizer.json` (text), `concept_tokens.safetensors` where it has a subject.
   * @param options.dtype `BF16`: the language model frozen, in half the memory. Default `F32`
   * @throws CheckpointMismatchError, or an error naming the file that is missing or damaged
   */
  static async fromPretrained(folder: string, options: LoadOptions = {}): Promise<ShowoModel> {
    // Small files first: what is no checkpoint is said before gigabytes are read.
    const config = await readConfig(folder);
    const tokenizer = loadText(folder);
    return new ShowoModel({ ...(await loadParts(folder, options, config)), tokenizer });
  }

  async savePretrained(folder: string, options: SaveOptions = {}): Promise<void> {
    const { adapters, store, tokenizer } = this.parts;
    await saveParts(folder, { ...this.parts, store: adapters?.sum(store) ?? store }, tokenizer, options);
  }

  /** What computes: ids in, logits out. Another one after something was put around the layers, or taken away. */
  get network(): ShowoNetwork {
    return this.current;
  }

  /** The language model's layers, without what stands around them. */
  get layers(): ShowoLayers {
    return this.parts.layers;
  }

  /** The numbers of those layers. */
  get store(): ParamStore {
    return this.parts.store;
  }

  /** Pixels to codes and back. */
  get magvit(): MagvitTokenizer {
    return this.parts.magvit;
  }

  get tokenizer(): TextTokenizer {
    return this.parts.tokenizer;
  }

  get config(): ShowoConfig {
    return this.parts.layers.config;
  }

  /** The language model's, or its adapters', and a subject's rows. The image tokenizer is frozen. */
  variables(): Readonly<Record<string, tf.Variable>> {
    if (!this.owns.learns) return {};
    const { adapters, concept, store } = this.parts;
    return { ...(adapters?.store ?? store).variables, ...concept?.rows.variables };
  }

  /**
   * Puts adapters around the layers: from now on they learn, and the layers stand still.
   * @param adapters made of {@link layers}, by `Lora.create` or `loadAdapters`; disposed with the model
   * @throws Error when there are adapters already
   */
  attachAdapters(adapters: Lora<ShowoLayers>): void {
    checkUnadapted(this);
    this.change({ adapters });
  }

  addAdapters({ targets = ATTENTION, ...options }: AdapterOptions, rng: Rng): void {
    checkUnadapted(this);
    this.attachAdapters(Lora.create(this.layers, { ...options, targets }, rng));
  }

  get adapters(): Lora<ShowoLayers> | undefined {
    return this.parts.adapters;
  }

  /** Whether blocks are computed again for the gradient: one forward pass more, for memory that grows less with depth. */
  set gradientCheckpointing(checkpointing: boolean) {
    this.change({ checkpointing });
  }

  /**
   * Text as it stands; Show-o reads an image before the text, wherever it comes among the parts.
   * @throws PromptTooLongError when the prompt of an image does not fit the layout; RangeError for images in such a
   *   prompt, several images in a question, an image of another size than the model sees, and `interleave`
   */
  prompt(parts: readonly (string | Image)[], task: 'understand' | 'generate' | 'interleave'): ShowoPrompt {
    if (task === 'interleave') throw new RangeError('Show-o does not mix text and images in one sequence');
    const ids = this.encodePrompt(wordsOf(parts).join(' '));
    const image = imageOf(parts);
    if (task === 'generate') {
      if (image) throw new RangeError('Show-o draws from text alone: the prompt of an image has no images');
      conditionTokens(this.config, ids);
      return { task, condition: ids };
    }
    if (!image) return { task, row: { ids: textPrefix(this.config, ids), image: false } };
    const [codes] = this.images.encode([image]);
    return { task, row: { ids: understandingPrefix(this.config, codes, ids), image: true } };
  }

  /** @throws RangeError for options out of range, and prompts that were made to draw */
  sampleText(
    requests: readonly SampleRequest<ShowoPrompt>[],
    options: TextOptions = {},
  ): TextSegment<TextTransition>[] {
    const rows = requests.map(({ prompt }) => {
      if (prompt.task !== 'understand') throw new RangeError(`a prompt made to ${prompt.task} cannot be answered`);
      return prompt.row;
    });
    const rngs = requests.map(({ rng }) => rng);
    const texts = sampleTexts(this.current, rows, rngs, options);
    return texts.map((text, i) => ({
      name: 'understanding',
      text: this.decode(Array.from(text.ids).filter((id) => id !== this.current.vocabulary.eot)),
      finished: text.finished,
      transitions: [textTransition(rows[i], text, scoringTemperature(options))],
    }));
  }

  /** @throws RangeError for options out of range, and prompts that were made to be answered */
  imageSampler(requests: readonly SampleRequest<ShowoPrompt>[], options: ShowoImageOptions = {}): ShowoImageSampler {
    const images = requests.map(({ prompt, rng }) => {
      if (prompt.task !== 'generate') throw new RangeError(`a prompt made to ${prompt.task} cannot be drawn`);
      return { condition: prompt.condition, draws: rng };
    });
    return ShowoImageSampler.start(this.current, images, options);
  }

  replay(transitions: readonly ShowoTransition[]): tf.Tensor2D {
    return replayTransitions(this.current, transitions);
  }

  entropies(transitions: readonly ShowoTransition[]): tf.Tensor2D {
    return entropiesOf(this.current, transitions);
  }

  /**
   * Shares the image tokenizer and the text tokenizer with this model, which must live as long; and the weights, where
   * they stand still under adapters.
   */
  frozenCopy(dtype: 'F32' | 'BF16' = 'F32', follows = false): ShowoModel {
    checkFollows(follows, dtype);
    const { adapters: learned, concept, layers, magvit, store, tokenizer } = this.parts;
    const adapters = learned?.merged ? undefined : learned?.clone();
    const copy = adapters ? store : store.clone(dtype);
    const still = { layers: layers.with(copy), store: copy, magvit, tokenizer, adapters, concept: concept?.clone() };
    return new ShowoModel(still, { learns: follows, store: !adapters, magvit: false });
  }

  supervisedBatch(
    examples: readonly SupervisedExample[],
    rng: Rng,
    options: SupervisedLossOptions = {},
  ): SupervisedBatch {
    const { tensors, weights } = supervisedInputs(this.config, this.exampleEncoder, examples, rng, options);
    return { tensors, loss: () => supervisedLoss(this.current, { tensors, weights }) };
  }

  supervisedLoss(examples: readonly SupervisedExample[], rng: Rng, options: SupervisedLossOptions = {}): tf.Scalar {
    return tf.tidy(() => this.supervisedBatch(examples, rng, options).loss());
  }

  addConceptTokens(options: ConceptTokenOptions, rng: Rng): Required<ConceptRows> {
    if (this.concept) throw new Error('this model has tokens of a subject already: remove them first');
    this.change({ concept: ConceptTokens.create(this.parts.layers, this.tokenizer, options, rng) });
    return CONCEPT_ROWS;
  }

  removeConceptTokens(): void {
    this.concept?.dispose();
    this.change({ concept: undefined });
  }

  dispose(): void {
    const { adapters, concept, magvit, store } = this.parts;
    concept?.dispose();
    adapters?.store.dispose();
    releaseTraced(this.network);
    releaseTraced(this.imageTokenizer);
    if (this.owns.store) store.dispose();
    if (this.owns.magvit) magvit.dispose();
  }

  private get concept(): ConceptTokens | undefined {
    return this.parts.concept;
  }

  private change(parts: Partial<ShowoParts>): void {
    this.parts = { ...this.parts, ...parts };
    this.current = networkOf(this.parts);
  }

  private readonly encode = (text: string): number[] => (text.trim() === '' ? [] : this.tokenizer.encode(text));

  private encodePrompt(text: string): number[] {
    return this.concept ? this.concept.encodePrompt(text, this.encode) : this.encode(text);
  }

  private decode(ids: readonly number[]): string {
    const plain = (list: readonly number[]) => this.tokenizer.decode(list);
    return this.concept ? this.concept.decode(ids, plain) : plain(ids);
  }

  private get exampleEncoder(): ExampleEncoder {
    return {
      prompt: (text) => this.encodePrompt(text),
      answer: (text) => (this.concept ? this.concept.encodeAnswer(text, this.encode) : this.encode(text)),
      codes: (image) => ('codes' in image ? image.codes : this.images.encode([image])[0]),
    };
  }
}
