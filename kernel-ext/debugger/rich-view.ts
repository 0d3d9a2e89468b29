/** Values as the kernel shows them in a notebook, also while its code is stopped. */
import { displayModule, type MimeBundle } from '../process/render';
import type { Evaluated, Inspector, RemoteValue } from './inspector';
import { type Carried, carriedValue } from './tensors';

/** Longest wait for a value's own display, in milliseconds. */
const displayPatience = 1000;

/**
 * The bundle of a value of the main thread. Tensors and images are brought here and rendered here, which works while
 * the code there is stopped; the rest is rendered there, which needs turns of its event loop.
 * @param mayWait whether the main thread has such turns
 * @returns undefined where there is no more than a text
 */
export async function richView(
  inspector: Inspector,
  value: RemoteValue,
  mayWait: boolean,
): Promise<MimeBundle | undefined> {
  if (value.objectId === undefined || value.type !== 'object') return undefined;
  const carried = await carriedValue(inspector, value);
  if (carried) return displayModule().renderBundle(restored(carried));
  if (!mayWait) return undefined;
  const shown = inspector.post<Evaluated>('Runtime.callFunctionOn', {
    objectId: value.objectId,
    functionDeclaration: 'function () { return __unilab__.show(this) }',
    awaitPromise: true,
    returnByValue: true,
  });
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, displayPatience, undefined));
  const answer = await Promise.race([shown.catch(() => undefined), late]);
  return answer && !answer.exceptionDetails ? (answer.result.value as MimeBundle) : undefined;
}

/** What was brought over, as the display code takes it. */
function restored(carried: Carried): object {
  if ('rgb' in carried) return { ...carried, rgb: Buffer.from(carried.rgb, 'base64') };
  const values = 'texts' in carried ? carried.texts : numbersOf(carried.dtype, carried.numbers);
  return { shape: carried.shape, dtype: carried.dtype, size: carried.size, dataSync: () => values };
}

function numbersOf(dtype: string, base64: string): Uint8Array | Int32Array | Float32Array {
  const { buffer } = new Uint8Array(Buffer.from(base64, 'base64'));
  if (dtype === 'bool') return new Uint8Array(buffer);
  return dtype === 'int32' ? new Int32Array(buffer) : new Float32Array(buffer);
}
