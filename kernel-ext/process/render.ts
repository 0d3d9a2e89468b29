/** Values of cells as MIME bundles. The display code is loaded with the first value that may need it. */
import { inspect } from 'node:util';

export type MimeBundle = Record<string, unknown>;

type DisplayModule = typeof import('../../src/display');
let loadedDisplay: DisplayModule | undefined;

/** The display code of this package. */
export function displayModule(): DisplayModule {
  return (loadedDisplay ??= require('../../src/display') as DisplayModule);
}

/** The bundle of a cell's last value. What must be read at once (tensors) is read before this returns. */
export function renderValue(value: unknown): Promise<MimeBundle> {
  const simple = (typeof value !== 'object' && typeof value !== 'function') || value === null;
  if (simple) return Promise.resolve({ 'text/plain': inspect(value) });
  return displayModule().renderBundle(value);
}

/** A bundle as it can be sent and stored: bytes as base64. */
export function storableBundle(bundle: MimeBundle): MimeBundle {
  const { storableBundle: storable } = require('../../src/display/bundle') as typeof import('../../src/display/bundle');
  return storable(bundle);
}

/** Brings live displays into their final state; nothing to do where the display code was never loaded. */
export async function flushLive(): Promise<PromiseSettledResult<void>[]> {
  const shared = (globalThis as { [key: symbol]: { live?: Set<{ flush(): Promise<void> }> } | undefined })[
    Symbol.for('unilab.display')
  ];
  return Promise.allSettled([...(shared?.live ?? [])].map((one) => one.flush()));
}
