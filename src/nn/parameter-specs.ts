/** What parameters a model declares, and whether a checkpoint has them. */
export { CheckpointMismatchError, checkShapes, checkTied } from './checkpoint-fit';

export interface ParameterSpec {
  /** Upstream (PyTorch) shape: `[out, in]` for linear layers, `[out, in, height, width]` for convolutions. */
  readonly shape: readonly number[];
  /** `normal` with standard deviation `std`, or a constant. */
  readonly init: { readonly normal: number } | { readonly constant: number };
  /** `conv`: held as `[height, width, in, out]`, the layout tf.js convolves with. Default `plain`: held as upstream. */
  readonly layout?: 'plain' | 'conv';
  /** The parameter whose values this one shares (tied weights): they are held, counted and saved once, under that name. */
  readonly tiedTo?: string;
}

export type ParameterSpecs = Readonly<Record<string, ParameterSpec>>;

/** The names of all parameters that have values of their own. */
export function untied(specs: ParameterSpecs): string[] {
  return Object.keys(specs).filter((name) => specs[name].tiedTo === undefined);
}
