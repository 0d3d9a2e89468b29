/** Whether a checkpoint has what a model's parameters need; everything that does not fit is said at once. */
import type { SafetensorsReader } from '../io';

/** What is used of an opened checkpoint. */
export type CheckpointReader = Pick<SafetensorsReader, 'names' | 'info' | 'readFloat32'>;

/** How the names in a file relate to the model's. */
export interface NameRules {
  /** The model's name of a tensor in the file. Default: the same. */
  readonly rename?: (name: string) => string;
  /** Whether a tensor, by its name in the file, carries no parameter of the model. Default: none. */
  readonly ignore?: (name: string) => boolean;
}

/** Shapes by name, as upstream has them; `tiedTo` names the parameter whose numbers this one shares. */
export type ExpectedTensors = Readonly<Record<string, { readonly shape: readonly number[]; readonly tiedTo?: string }>>;

/** A checkpoint does not fit the model: every unknown, missing and mis-shaped tensor, listed at once. */
export class CheckpointMismatchError extends Error {
  override readonly name = 'CheckpointMismatchError';
}

/** Faults of one kind that are listed: another model's file has hundreds. */
const LISTED = 12;

/** @throws CheckpointMismatchError listing everything that does not fit, the first dozen of each kind */
export function checkShapes(
  expected: ExpectedTensors,
  found: readonly (readonly [name: string, tensor: { readonly shape: readonly number[] }])[],
  where: string,
): void {
  const shapes = new Map(found.map(([name, { shape }]) => [name, shape]));
  const [missing, misshaped, unknown, twice]: string[][] = [[], [], [], []];
  for (const [name, { shape, tiedTo }] of Object.entries(expected)) {
    const other = shapes.get(name);
    if (!other && !tiedTo) missing.push(`missing: ${name} [${shape}]`);
    // Tied weights may be stored once.
    if (other && other.join() !== shape.join()) misshaped.push(`${name}: expected [${shape}], found [${other}]`);
  }
  found.forEach(([name, { shape }], i) => {
    if (!Object.hasOwn(expected, name)) unknown.push(`unknown: ${name} [${shape}]`);
    else if (found.findIndex(([other]) => other === name) < i) twice.push(`twice, under two names: ${name}`);
  });
  const faults = [misshaped, missing, unknown, twice].flatMap((own) =>
    own.length <= LISTED ? own : [...own.slice(0, LISTED), `.. and ${own.length - LISTED} more like these`],
  );
  if (faults.length > 0)
    throw new CheckpointMismatchError(`${where} does not fit this configuration:\n  ${faults.join('\n  ')}`);
}

/**
 * A file may hold tied weights twice, but not two different ones.
 * @throws CheckpointMismatchError naming the first number that differs
 */
export function checkTied(name: string, values: Float32Array, tiedTo: string, own: Float32Array, where: string): void {
  const at = values.findIndex((value, i) => value !== own[i] && !(Number.isNaN(value) && Number.isNaN(own[i])));
  if (at < 0) return;
  throw new CheckpointMismatchError(
    `${where} does not fit this configuration: ${name} is tied to ${tiedTo}, but differs from it at ${at}: ${values[at]} and ${own[at]}`,
  );
}
