/** Tensors and images of the main thread, looked at while its code is stopped or runs. */
import type { Evaluated, Inspector, RemoteValue } from './inspector';

/** What is shown of a tensor. */
export interface TensorSummary {
  readonly kind: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly disposed: boolean;
  readonly min?: number;
  readonly max?: number;
  readonly mean?: number;
  /** The first values. */
  readonly head: readonly (number | string)[];
  readonly size: number;
}

/** A tensor or an image of the main thread with all it holds; the numbers are in base64. */
export type Carried =
  | { readonly shape: number[]; readonly dtype: string; readonly size: number; readonly numbers: string }
  | { readonly shape: number[]; readonly dtype: string; readonly size: number; readonly texts: string[] }
  | { readonly width: number; readonly height: number; readonly rgb: string };

/** Runs in the main thread, from its source text: it may use nothing from outside. `this` is the tensor. */
function summarize(this: {
  readonly shape: number[];
  readonly dtype: string;
  readonly size: number;
  readonly isDisposed: boolean;
  dataSync(): ArrayLike<number | string>;
}): TensorSummary | undefined {
  if (!Array.isArray(this.shape) || typeof this.dataSync !== 'function') return undefined;
  const { shape, dtype, size, isDisposed: disposed } = this;
  const about = { kind: this.constructor.name, dtype, shape, disposed, size };
  if (disposed || size > 4e6) return { ...about, head: [] };
  const values = this.dataSync();
  const head = Array.from({ length: Math.min(6, size) }, (_, at) => values[at]);
  if (size === 0 || typeof values[0] !== 'number') return { ...about, head };
  let [min, max, sum] = [Infinity, -Infinity, 0];
  for (let at = 0; at < size; at++) {
    const value = values[at] as number;
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
  }
  return { ...about, head, min, max, mean: sum / size };
}

/** Runs in the main thread as {@link summarize} does. `this` is a tensor, an image, or something else. */
function carry(
  this: {
    readonly shape?: number[];
    readonly dtype?: string;
    readonly size?: number;
    readonly isDisposed?: boolean;
    dataSync?(): Uint8Array | Int32Array | Float32Array | string[];
    readonly width?: number;
    readonly height?: number;
    readonly rgb?: Uint8Array;
  },
  buffer: typeof Buffer,
): Carried | undefined {
  const largest = 1 << 20;
  const encode = ({ buffer: memory, byteOffset, byteLength }: ArrayBufferView): string =>
    buffer.from(memory as ArrayBuffer, byteOffset, byteLength).toString('base64');
  const { width, height, rgb, shape, dtype, size, isDisposed } = this;
  if (width && height && rgb && ArrayBuffer.isView(rgb) && rgb.length === 3 * width * height)
    return rgb.length <= 16 * largest ? { width, height, rgb: encode(rgb) } : undefined;
  if (!Array.isArray(shape) || !dtype || size === undefined || !this.dataSync) return undefined;
  if (isDisposed || size > largest) return undefined;
  const values = this.dataSync();
  return Array.isArray(values)
    ? { shape, dtype, size, texts: values }
    : { shape, dtype, size, numbers: encode(values) };
}

const short = (value: number | string): string =>
  typeof value === 'string'
    ? JSON.stringify(value)
    : String(Number.isInteger(value) ? value : Number(value.toPrecision(4)));

/** Bytes of one value of a tensor. */
const bytesPerValue: Readonly<Record<string, number>> = { float32: 4, int32: 4, bool: 1, complex64: 8 };

/** Memory as people read it: `640 B`, `1.5 MB`. */
function memoryText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return `${Number((bytes / 1000 ** unit).toPrecision(3))} ${units[unit]}`;
}

/** A tensor in one line, with its memory: `Tensor float32 [2,2] 16 B, 1 … 4: 1, 2.5, 3, 4`. */
export function tensorText({ kind, dtype, shape, disposed, min, max, head, size }: TensorSummary): string {
  const name = `${kind} ${dtype} [${shape.join(',')}]`;
  if (disposed) return `${name} (disposed)`;
  const each = bytesPerValue[dtype];
  const memory = each === undefined ? '' : ` ${memoryText(each * size)}`;
  const range = min === undefined || max === undefined ? '' : `${memory && ','} ${short(min)} … ${short(max)}`;
  const values = head.map(short).join(', ');
  return `${name}${memory}${range}${values ? `: ${values}${size > head.length ? ', …' : ''}` : ''}`;
}

/** What a tensor holds; undefined for other values. */
export async function describeTensor(
  inspector: Inspector,
  { className = '', objectId }: RemoteValue,
): Promise<{ readonly text: string; readonly summary: TensorSummary } | undefined> {
  if (!/Tensor|^Variable$/.test(className) || objectId === undefined) return undefined;
  const summary = await callOn<TensorSummary>(inspector, objectId, summarize.toString());
  return summary && { text: tensorText(summary), summary };
}

/** A tensor or an image with all it holds; undefined for other values, and for those of more than 2^20 numbers. */
export function carriedValue(inspector: Inspector, { objectId }: RemoteValue): Promise<Carried | undefined> {
  if (objectId === undefined) return Promise.resolve(undefined);
  return callOn<Carried>(inspector, objectId, `function () { return (${carry.toString()}).call(this, Buffer) }`);
}

/** Calls a function on an object of the main thread. @returns what it gave, as JSON; undefined where it threw */
async function callOn<T>(inspector: Inspector, objectId: string, functionDeclaration: string): Promise<T | undefined> {
  const options = { objectId, functionDeclaration, returnByValue: true, silent: true };
  const { result, exceptionDetails } = await inspector.post<Evaluated>('Runtime.callFunctionOn', options);
  return exceptionDetails ? undefined : (result.value as T | undefined);
}
