/** What some backbones can do besides: a recipe that needs it asks, and says so where a model cannot. */
import type { Rng } from '../engine';
import type { Image } from '../io';
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
