/** What is done to an image before a published vision model sees it. */
import type { SizeRule } from './geometry';
import type { ResampleFilter } from './resample';

/** One value for each of red, green and blue. */
export type Channels = readonly [number, number, number];

/** What is done to an image, in this order; a step that is left out is not taken. */
export interface ProcessorConfig {
  readonly size?: SizeRule;
  readonly filter: ResampleFilter;
  readonly crop?: { readonly height: number; readonly width: number };
  /** Pads to a square of this color. */
  readonly background?: Channels;
  /** Multiplies the bytes, as a rule by 1/255. */
  readonly rescale?: number;
  readonly normalize?: { readonly mean: Channels; readonly std: Channels };
}

/** A `preprocessor_config.json` that cannot be followed, with every field at fault. */
export class ProcessorConfigError extends Error {
  override readonly name = 'ProcessorConfigError';
}
