/** What parameters a model declares, and whether a checkpoint has them. */

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

/** A checkpoint does not fit the model: every unknown, missing and mis-shaped tensor, listed at once. */
export class CheckpointMismatchError extends Error {
  override readonly name = 'CheckpointMismatchError';
}

/** @throws CheckpointMismatchError listing everything that does not fit */
export function checkShapes(
  specs: ParameterSpecs,
  found: readonly (readonly [name: string, tensor: { readonly shape: readonly number[] }])[],
  where: string,
): void {
  const shapes = new Map(found.map(([name, { shape }]) => [name, shape]));
  const faults: string[] = [];
  for (const [name, { shape, tiedTo }] of Object.entries(specs)) {
    const other = shapes.get(name);
    if (!other && !tiedTo) faults.push(`missing: ${name} [${shape}]`);
    else if (!other)
      continue; // tied weights are stored once
    else if (other.join() !== shape.join()) faults.push(`${name}: expected [${shape}], found [${other}]`);
  }
  found.forEach(([name, { shape }], i) => {
    if (!specs[name]) faults.push(`unknown: ${name} [${shape}]`);
    else if (found.findIndex(([other]) => other === name) < i) faults.push(`twice, under two names: ${name}`);
  });
  if (faults.length > 0)
    throw new CheckpointMismatchError(`${where} does not fit this configuration:\n  ${faults.join('\n  ')}`);
}

/** A file may hold tied weights twice, but not two different ones. */
export function checkTied(name: string, values: Float32Array, tiedTo: string, own: Float32Array, where: string): void {
  const at = values.findIndex((value, i) => value !== own[i] && !(Number.isNaN(value) && Number.isNaN(own[i])));
  if (at < 0) return;
  throw new CheckpointMismatchError(
    `${where} does not fit this configuration: ${name} is tied to ${tiedTo}, but differs from it at ${at}: ${values[at]} and ${own[at]}`,
  );
}

/** The names of all parameters that have values of their own. */
export function untied(specs: ParameterSpecs): string[] {
  return Object.keys(specs).filter((name) => specs[name].tiedTo === undefined);
}
