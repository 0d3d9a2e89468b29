/** Show-o (Xie et al. 2024) by text and images: one class for the mini model and for real checkpoints. */
import { readValues, type Rng, type tf } from '../../engine';
import { type Image, imagesToTensor } from '../../io';
import { LoraParameters } from '../../nn/lora';
import { Bf16Parameters } from '../../nn/freeze';
import { Parameters } from '../../nn/parameters';
import { scoringTemperature } from '../../nn/token-sampling';
import type { TextTokenizer } from '../../text/tokenizer';
import {
  type ConceptRows,
  type ConceptTokenOptions,
  type EncodedImage,
  type ImageTokenizer,
  type PersonalizableModel,
  type SampleRequest,
  type SupervisedExample,
  type SupervisedLossOptions,
  type TextOptions,
  type TextSegment,
  checkFollows,
} from '../unified';
import { ConceptTokens, CONCEPT_ROWS } from './concept-tokens';
import { imageGrid, type ShowoConfig } from './config';
import type { MagvitTokenizer } from './image-tokenizer';
import { conditionTokens, textPrefix, understandingPrefix } from './layout';
import { ShowoNetwork, showoSpecs } from './network';
import { replayTransitions, type ShowoTransition, textTransition, type TextTransition } from './policy';
import { loadParts, loadText, saveParts, type SaveOptions } from './pretrained';
import { type ShowoImageOptions, ShowoImageSampler } from './sampler';
import { type ExampleEncoder, imageOf, supervisedLoss, wordsOf } from './supervised';
import { sampleTexts, type TextRow } from './text-sampler';

/** What the model is asked: a row of text to be continued, or the prompt of an image. */
export type ShowoPrompt =
  | { readonly task: 'understand'; readonly row: TextRow }
  | { readonly task: 'generate'; readonly condition: readonly number[] };

export class ShowoModel implements PersonalizableModel<ShowoPrompt, ShowoTransition> {
  readonly modelType = 'showo';
  readonly imageTokenizer: ImageTokenizer;
  /** Codes of images that were seen, as long as the images live: epochs over few of them encode each once. */
  private readonly seen = new WeakMap<Image, Int32Array>();

  /** @throws RangeError when the image tokenizer has another number of codes than the network */
  constructor(
    private net: ShowoNetwork,
    /** Pixels to codes and back. */
    readonly magvit: MagvitTokenizer,
    readonly tokenizer: TextTokenizer,
    private readonly held: { readonly learns: boolean; readonly own: readonly { dispose(): void }[] } = {
      learns: true,
      own: [net.parameters, magvit],
    },
  ) {
    if (magvit.codebookSize !== net.config.codebook_size) {
      throw new RangeError(
        `the image tokenizer has ${magvit.codebookSize} codes, the transformer expects ${net.config.codebook_size}`,
      );
    }
    const grid = imageGrid(net.config);
    this.imageTokenizer = {
      grid,
      stride: magvit.stride,
      encode: (images) => this.encodeImages(images),
      decode: (codes, shape = grid) => magvit.decode(codes, shape),
    };
  }

  /** A model with random weights around a trained (or random) image tokenizer. */
  static random(config: ShowoConfig, magvit: MagvitTokenizer, tokenizer: TextTokenizer, rng: Rng): ShowoModel {
    return new ShowoModel(new ShowoNetwork(config, Parameters.random(showoSpecs(config), rng)), magvit, tokenizer);
  }

  /**
   * Loads a folder written by {@link ShowoModel.savePretrained}: `config.json`, `model.safetensors` or its shards,
   * `tokenizer.safetensors` (images), `tokenizer.json` (text).
   * @throws CheckpointMismatchError, or an error naming the file that is missing or damaged
   */
  static async fromPretrained(folder: string): Promise<ShowoModel> {
    const { network, magvit } = await loadParts(folder);
    try {
      return new ShowoModel(network, magvit, loadText(folder));
    } catch (error) {
      network.parameters.dispose();
      magvit.dispose();
      throw error;
    }
  }

  async savePretrained(folder: string, options: SaveOptions = {}): Promise<void> {
    await saveParts(folder, { network: this.net, magvit: this.magvit }, this.tokenizer, options);
  }

  /** What computes: ids in, logits out. Another one after tokens were added or removed. */
  get network(): ShowoNetwork {
    return this.net;
  }

  get config(): ShowoConfig {
    return this.net.config;
  }

  variables(): Readonly<Record<string, tf.Variable>> {
    return this.held.learns ? { ...this.net.parameters.variables, ...this.concept?.variables } : {};
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
    const [codes] = this.encodeImages([image]);
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
    const texts = sampleTexts(this.net, rows, rngs, options);
    return texts.map((text, i) => ({
      name: 'understanding',
      text: this.decode(Array.from(text.ids).filter((id) => id !== this.net.vocabulary.eot)),
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
    return ShowoImageSampler.start(this.net, images, options);
  }

  replay(transitions: readonly ShowoTransition[]): tf.Tensor2D {
    return replayTransitions(this.net, transitions);
  }

  /** Shares the image tokenizer and the text tokenizer with this model, which must live as long. */
  frozenCopy(dtype: 'F32' | 'BF16' = 'F32', follows = false): ShowoModel {
    const { parameters, config } = this.net;
    const concept = this.concept?.clone();
    const shared = parameters instanceof LoraParameters && !parameters.merged;
    checkFollows(follows, dtype, shared);
    const numbers = shared ? parameters.base : dtype === 'BF16' ? Bf16Parameters.copy(parameters) : parameters.clone();
    const own = [...(shared ? [] : [numbers]), ...(concept ? [concept] : [])];
    const network = new ShowoNetwork(config, numbers, concept);
    return new ShowoModel(network, this.magvit, this.tokenizer, { learns: follows, own });
  }

  supervisedLoss(examples: readonly SupervisedExample[], rng: Rng, options: SupervisedLossOptions = {}): tf.Scalar {
    return supervisedLoss(this.net, this.exampleEncoder, examples, rng, options);
  }

  addConceptTokens(options: ConceptTokenOptions, rng: Rng): Required<ConceptRows> {
    if (this.concept) throw new Error('this model has tokens of a subject already: remove them first');
    const concept = ConceptTokens.create(this.net, this.tokenizer, options, rng);
    this.net = new ShowoNetwork(this.config, this.net.parameters, concept);
    return CONCEPT_ROWS;
  }

  removeConceptTokens(): void {
    this.concept?.dispose();
    this.net = new ShowoNetwork(this.config, this.net.parameters);
  }

  dispose(): void {
    for (const part of this.held.own) part.dispose();
    if (this.held.learns) this.concept?.dispose();
  }

  private get concept(): ConceptTokens | undefined {
    return this.net.extra as ConceptTokens | undefined;
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
      codes: (image) => (isEncoded(image) ? image.codes : this.encodeImages([image])[0]),
    };
  }

  /** @throws RangeError for an image of another size than the model sees */
  private encodeImages(images: readonly Image[]): Int32Array[] {
    const [rows, columns] = imageGrid(this.config);
    const [height, width] = [rows * this.magvit.stride, columns * this.magvit.stride];
    for (const image of images) {
      if (image.width !== width || image.height !== height)
        throw new RangeError(
          `an image is ${image.width} x ${image.height}; this model sees ${width} x ${height}: resize it first`,
        );
    }
    const fresh = [...new Set(images)].filter((image) => !this.seen.has(image));
    if (fresh.length > 0) {
      const flat = readValues<'int32'>(() => this.magvit.encode(imagesToTensor(fresh)));
      const count = rows * columns;
      fresh.forEach((image, i) => this.seen.set(image, flat.slice(i * count, (i + 1) * count)));
    }
    return images.map((image) => this.seen.get(image) as Int32Array);
  }
}

function isEncoded(image: Image | EncodedImage): image is EncodedImage {
  return 'codes' in image;
}
