/** Bytes in a widget's state travel beside the JSON, with the paths at which they belong. */

/** A state as it travels. */
export interface SplitState {
  readonly state: Record<string, unknown>;
  readonly paths: readonly (readonly (string | number)[])[];
  readonly buffers: readonly Uint8Array[];
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

function bytesOf(value: unknown): Uint8Array | undefined {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined;
}

/** Takes the bytes out of a state: a property is left out where bytes were, an entry of a list is null there. */
export function splitBuffers(state: object): SplitState {
  const paths: (string | number)[][] = [];
  const buffers: Uint8Array[] = [];
  /** @returns undefined for bytes */
  const without = (value: unknown, path: (string | number)[]): unknown => {
    const bytes = bytesOf(value);
    if (bytes) {
      paths.push(path);
      buffers.push(bytes);
      return undefined;
    }
    if (Array.isArray(value)) return value.map((one, at) => without(one, [...path, at]) ?? null);
    if (!isObject(value)) return value;
    const entries = Object.entries(value).map(([name, one]) => [name, without(one, [...path, name])] as const);
    return Object.fromEntries(entries.filter(([, one]) => one !== undefined));
  };
  return { state: without(state, []) as Record<string, unknown>, paths, buffers };
}

/** Puts bytes back where they belong. @throws RangeError for a path that leads nowhere */
export function joinBuffers({ state, paths, buffers }: SplitState): Record<string, unknown> {
  paths.forEach((path, at) => {
    let place: unknown = state;
    for (const step of path.slice(0, -1)) place = (place as Record<string | number, unknown> | undefined)?.[step];
    const last = path.at(-1);
    if (typeof place !== 'object' || place === null || last === undefined || !buffers[at])
      throw new RangeError(
        `bytes of a widget belong at ${JSON.stringify(path)}, where its state has no place for them`,
      );
    (place as Record<string | number, unknown>)[last] = buffers[at];
  });
  return state;
}
