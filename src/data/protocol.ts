/** How a benchmark is asked: greedy answers, so many images of a prompt, which guidance. */
import type { ImageOptions, TextOptions } from '../models/unified';
import type { Fit } from './fit-image';
import type { TextStyle } from './personalization';
import type { Structure } from './xcot-sample';

/**
 * How a model knows the subject of a prompt. `words`: it is told its class (a text prompt). `learned`: its prompts say
 * `<sks>`, which it learned. `shown`: it is given an image of it (MM-R1).
 */
export const SUBJECT_MODES = ['words', 'learned', 'shown'] as const;
export type SubjectMode = (typeof SUBJECT_MODES)[number];

export interface Protocol {
  /** Images drawn of a prompt. Default 1. */
  readonly samples?: number;
  /** Default `words`. */
  readonly subjects?: SubjectMode;
  /** Of a model that is shown subjects. Default `free`. */
  readonly structure?: Structure;
  /** How sentences that a suite makes are put together. Default `plain`. */
  readonly style?: TextStyle;
  /** How images of another size than the model sees are made to fit. Default `crop`. */
  readonly fit?: Fit;
  /** Said behind every question. Default: nothing. */
  readonly instruction?: string;
  /** Default: greedy, at most 256 tokens. */
  readonly text?: TextOptions;
  readonly image?: ImageOptions;
}
