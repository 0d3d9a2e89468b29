/** The element types of safetensors, and their conversion to and from float32. */
import { SafetensorsError } from './errors';

/** Element types this reader holds. Sub-byte floats (`F4`, `F6_*`) are named in errors but not read. */
export type DType =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'F8_E4M3'
  | 'F8_E5M2'
  | 'I64'
  | 'I32'
  | 'I16'
  | 'I8'
  | 'U64'
  | 'U32'
  | 'U16'
  | 'U8'
  | 'BOOL';

export type TensorData =
  | Float64Array
  | Float32Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array
  | BigInt64Array
  | BigUint64Array;

/**
 * One tensor as it lies in the file, row-major. `F16` and `BF16` are held as their bits in a `Uint16Array`,
 * `BOOL` as 0/1 bytes, `I64` and `U64` as big integers; {@link toFloat32} turns any of them into numbers.
 */
export interface RawTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

interface Layout {
  readonly bytes: number;
  readonly view: (buffer: ArrayBuffer) => TensorData;
}

const layouts: Record<DType, Layout> = {
  F64: { bytes: 8, view: (b) => new Float64Array(b) },
  F32: { bytes: 4, view: (b) => new Float32Array(b) },
  F16: { bytes: 2, view: (b) => new Uint16Array(b) },
  BF16: { bytes: 2, view: (b) => new Uint16Array(b) },
  F8_E4M3: { bytes: 1, view: (b) => new Uint8Array(b) },
  F8_E5M2: { bytes: 1, view: (b) => new Uint8Array(b) },
  I64: { bytes: 8, view: (b) => new BigInt64Array(b) },
  I32: { bytes: 4, view: (b) => new Int32Array(b) },
  I16: { bytes: 2, view: (b) => new Int16Array(b) },
  I8: { bytes: 1, view: (b) => new Int8Array(b) },
  U64: { bytes: 8, view: (b) => new BigUint64Array(b) },
  U32: { bytes: 4, view: (b) => new Uint32Array(b) },
  U16: { bytes: 2, view: (b) => new Uint16Array(b) },
  U8: { bytes: 1, view: (b) => new Uint8Array(b) },
  BOOL: { bytes: 1, view: (b) => new Uint8Array(b) },
};

/** The names of all element types that can be read. */
export const dtypeNames: readonly DType[] = Object.keys(layouts) as DType[];

/** Whether `name` is an element type that can be read. */
export function isDType(name: unknown): name is DType {
  return typeof name === 'string' && Object.hasOwn(layouts, name);
}

/** Bytes of one element. */
export function bytesOf(dtype: DType): number {
  return layouts[dtype].bytes;
}

/** A typed view of a buffer that holds elements of `dtype`, starting at its first byte. */
export function viewAs(dtype: DType, buffer: ArrayBuffer): TensorData {
  return layouts[dtype].view(buffer);
}

// One float32 and its bits: the plain way to look into a number.
const oneFloat = new Float32Array(1);
const oneBits = new Uint32Array(oneFloat.buffer);

/** bfloat16 bits of a float32, rounded to nearest even; NaN stays NaN. */
export function toBfloat16Bits(value: number): number {
  oneFloat[0] = value;
  const bits = oneBits[0];
  if (value !== value) return (bits >>> 16) | 0x40; // rounding could carry a NaN's payload into infinity
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The number that 16 bits of a bfloat16 mean; exact. */
export function fromBfloat16Bits(bits: number): number {
  oneBits[0] = (bits << 16) >>> 0;
  return oneFloat[0];
}

/** The number that 16 bits of an IEEE half mean; exact. */
export function fromFloat16Bits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** IEEE half bits of a float32, rounded to nearest even; above 65504 + half a step it is infinity. */
export function toFloat16Bits(value: number): number {
  oneFloat[0] = value;
  const bits = oneBits[0];
  const sign = (bits >>> 16) & 0x8000;
  if (value !== value) return sign | 0x7e00;
  const magnitude = Math.abs(oneFloat[0]);
  if (magnitude >= 65520) return sign | 0x7c00;
  // A number's step is 2^-24 among subnormals, else 2^(exponent - 10): divide, round to even, put together again.
  const exponent = Math.max(-14, ((bits >>> 23) & 0xff) - 127);
  const steps = roundToEven(magnitude * 2 ** (10 - exponent));
  // A carry out of the fraction (steps = 2048) rightly becomes the next exponent.
  return sign | (steps < 1024 ? steps : (exponent + 15) * 1024 + (steps - 1024));
}

function roundToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

const noFloat = (dtype: DType): SafetensorsError =>
  new SafetensorsError('unsupported_conversion', 'toFloat32', undefined, `${dtype} cannot be turned into float32`);

/**
 * Writes the numbers of `data` (elements of `dtype`) into `out` from `offset` on, as float32.
 * @throws SafetensorsError `unsupported_conversion` for 8-bit floats
 */
export function convertToFloat32(dtype: DType, data: TensorData, out: Float32Array, offset = 0): void {
  if (dtype === 'F8_E4M3' || dtype === 'F8_E5M2') throw noFloat(dtype);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < data.length; i++) out[offset + i] = Number(data[i]);
  } else if (dtype === 'BF16') {
    const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let i = 0; i < data.length; i++) bits[offset + i] = data[i] << 16;
  } else if (dtype === 'F16') {
    const table = float16Table();
    for (let i = 0; i < data.length; i++) out[offset + i] = table[data[i]];
  } else {
    out.set(data, offset);
  }
}

let halves: Float32Array | undefined;
function float16Table(): Float32Array {
  return (halves ??= Float32Array.from({ length: 65536 }, (_, bits) => fromFloat16Bits(bits)));
}

/**
 * A tensor's numbers as float32. A float32 tensor's own array is returned, not a copy; others are converted:
 * exactly from 16-bit floats, to the nearest from F64 and large integers, 0/1 from BOOL.
 * @throws SafetensorsError `unsupported_conversion` for 8-bit floats
 */
export function toFloat32(tensor: RawTensor): Float32Array {
  if (tensor.data instanceof Float32Array) return tensor.data;
  const out = new Float32Array(tensor.data.length);
  convertToFloat32(tensor.dtype, tensor.data, out);
  return out;
}

/**
 * An integer tensor's numbers as int32.
 * @throws SafetensorsError `unsupported_conversion` for floats, and for a number outside int32's range
 */
export function toInt32(tensor: RawTensor): Int32Array {
  if (tensor.data instanceof Int32Array) return tensor.data;
  const fail = (what: string): never => {
    throw new SafetensorsError('unsupported_conversion', 'toInt32', undefined, what);
  };
  if (/^(F|BF)/.test(tensor.dtype)) fail(`${tensor.dtype} holds no integers; use toFloat32`);
  const out = new Int32Array(tensor.data.length);
  for (let i = 0; i < out.length; i++) {
    const value = Number(tensor.data[i]);
    if (value !== (value | 0)) fail(`${tensor.data[i]} at position ${i} does not fit into int32`);
    out[i] = value;
  }
  return out;
}
