/** What some backbones can do besides: a recipe that needs it asks, and says so where a model cannot. */
import type { Rng } from '../engine';
import type { Image } from '../io';
import type { Lora, LoraOptions } from '../nn/adapters';
import type { Module } from '../nn/module';
import type { Prompt, Transition, UnifiedModel } from './unified';

/** An image and a text as one forward pass represents them, one vector a token, all of one width. */
export interface TokenStates {
  readonly image: readonly Float32Array[];
  readonly text: readonly Float32Array[];
}

/** A model that tells what its last layer holds of an image and a text read together. CoRL's R_TIM asks for one. */
export interface RepresentingModel<P extends Prompt = Prompt, T extends Transition = Transition> extends UnifiedModel<
  P,
  T
> {
  /** States after the last norm, pair by pair. @throws RangeError for images of another size than the model sees */
  tokenStates(images: readonly Image[], texts: readonly string[]): TokenStates[];
  frozenCopy(dtype?: 'F32' | 'BF16', follows?: boolean): RepresentingModel<P, T>;
}

/** Whether a model is a {@link RepresentingModel}. */
export const canRepresent = (model: UnifiedModel): model is RepresentingModel => 'tokenStates' in model;

/** A model whose vocabulary can grow: for forms of text that its training did not know, `<think>` and the like. */
export interface ExtensibleModel<P extends Prompt = Prompt, T extends Transition = Transition> extends UnifiedModel<
  P,
  T
> {
  /**
   * The same model with new words, and this one disposed. Words that it knows already stay as they are.
   * @param words each with a known word, whose rows the new ones start near
   * @throws Error for a word to start near that the vocabulary lacks
   */
  withWords(words: Readonly<Record<string, string>>, rng: Rng): Promise<ExtensibleModel<P, T>>;
}

/** Whether a model is an {@link ExtensibleModel}. */
export const canLearnWords = (model: UnifiedModel): model is ExtensibleModel => 'withWords' in model;

/** `targets` default to the projections of the language model's attention. */
export type AdapterOptions = Omit<LoraOptions, 'targets'> & Partial<Pick<LoraOptions, 'targets'>>;

/** A model that can be trained by adapters, and with blocks that are computed again for the gradient. */
export interface AdaptableModel<P extends Prompt = Prompt, T extends Transition = Transition> extends UnifiedModel<
  P,
  T
> {
  /**
   * Puts fresh adapters around the layers, which change nothing yet: from now on they learn, and the layers stand still.
   * @throws Error when there are adapters already; RangeError for options that do not fit, see `Lora.create`
   */
  addAdapters(options: AdapterOptions, rng: Rng): void;
  /** What learns in the place of the layers. */
  readonly adapters: Lora<Module> | undefined;
  /** Whether blocks are computed again for the gradient: one forward pass more, for memory that grows less with depth. */
  set gradientCheckpointing(checkpointing: boolean);
}

/** Whether a model is an {@link AdaptableModel}. */
export const canAdapt = (model: UnifiedModel): model is AdaptableModel => 'addAdapters' in model;

/** @throws Error when a model has adapters: it takes one set of them */
export function checkUnadapted({ adapters }: Pick<AdaptableModel, 'adapters'>): void {
  if (adapters) throw new Error('this model has adapters already');
}
