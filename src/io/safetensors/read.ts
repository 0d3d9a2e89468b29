/** Reading safetensors: one tensor at a time, in pieces, so that no file is ever held twice. */
import { type FileHandle, open } from 'node:fs/promises';
import { type RawTensor, bytesOf, convertToFloat32, toFloat32, viewAs } from './dtypes';
import { SafetensorsError } from './errors';
import { type TensorEntry, headerLength, incompleteHeader, parseHeader } from './header';
import { locate } from './locate';

/** A piece as large as the disk likes it, and far below the 2 GiB at which Node's reads end. */
const pieceBytes = 32 * 1024 * 1024;

/** What a checkpoint holds of one tensor, without its data. */
export interface TensorInfo extends TensorEntry {
  readonly file: string;
}

/** An opened checkpoint (one file, or all shards). Headers are read and checked; data is read when asked for. */
export class SafetensorsReader {
  /** Every tensor's dtype, shape and place, by name. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** `__metadata__` of the files, later shards' keys over earlier ones'. */
  readonly metadata: Readonly<Record<string, string>>;

  private constructor(
    private readonly handles: ReadonlyMap<string, FileHandle>,
    tensors: ReadonlyMap<string, TensorInfo>,
    metadata: Readonly<Record<string, string>>,
  ) {
    this.tensors = tensors;
    this.metadata = metadata;
  }

  /** See {@link openSafetensors}. */
  static async open(where: string): Promise<SafetensorsReader> {
    const { files, index } = await locate(where);
    const handles = new Map<string, FileHandle>();
    const tensors = new Map<string, TensorInfo>();
    const metadata: Record<string, string> = {};
    try {
      for (const file of files) {
        const handle = await open(file, 'r');
        handles.set(file, handle);
        const header = await readHeader(file, handle);
        Object.assign(metadata, header.metadata);
        for (const entry of header.entries.values()) {
          if (index && index.weightMap.get(entry.name) !== file) {
            const what = `the file holds it, but the index ${index.file} does not place it there`;
            throw new SafetensorsError('unlisted_tensor', file, entry.name, what);
          }
          tensors.set(entry.name, { ...entry, file });
        }
      }
      const missing = [...(index?.weightMap ?? [])].filter(([name]) => !tensors.has(name));
      if (missing.length > 0) {
        const [[name, file]] = missing;
        const others = missing.slice(1).map(([other]) => `'${other}'`);
        const more = others.length > 0 ? `; so it is with ${others.join(', ')}` : '';
        const what = `the index places it in ${file}, whose header does not have it${more}`;
        throw new SafetensorsError('missing_tensor', index?.file ?? where, name, what);
      }
      return new SafetensorsReader(handles, tensors, metadata);
    } catch (error) {
      for (const handle of handles.values()) await handle.close();
      throw error;
    }
  }

  /** The tensors' names, in the order of the headers. */
  get names(): string[] {
    return [...this.tensors.keys()];
  }

  /** What the header says of one tensor. @throws SafetensorsError `unknown_tensor` */
  info(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (info) return info;
    const file = this.handles.keys().next().value ?? '';
    throw new SafetensorsError(
      'unknown_tensor',
      file,
      name,
      `there is no such tensor; ${this.tensors.size} others are there`,
    );
  }

  /** One tensor as it lies in the file. @throws SafetensorsError `unknown_tensor`, `data_truncated` */
  async read(name: string): Promise<RawTensor> {
    const info = this.info(name);
    const buffer = new ArrayBuffer(info.end - info.begin);
    await this.fill(info, info.begin, buffer);
    return { dtype: info.dtype, shape: info.shape, data: viewAs(info.dtype, buffer) };
  }

  /**
   * One tensor's numbers as float32. Converted piece by piece: 16-bit weights never stand beside their float32 copy.
   * @throws SafetensorsError `unknown_tensor`, `data_truncated`, `unsupported_conversion`; `non_finite_values` when
   *   asked for
   */
  async readFloat32(name: string, options: ReadOptions = {}): Promise<Float32Array> {
    const info = this.info(name);
    const values = info.dtype === 'F32' ? toFloat32(await this.read(name)) : await this.converted(info);
    if (options.nonFinite !== 'allow' && hasNonFinite(values)) {
      report(nonFiniteError(info.file, name, { dtype: 'F32', shape: info.shape, data: values }), options);
    }
    return values;
  }

  private async converted(info: TensorInfo): Promise<Float32Array> {
    const size = bytesOf(info.dtype);
    const out = new Float32Array((info.end - info.begin) / size);
    const step = Math.floor(pieceBytes / size);
    for (let at = 0; at < out.length; at += step) {
      const buffer = new ArrayBuffer(Math.min(step, out.length - at) * size);
      await this.fill(info, info.begin + at * size, buffer);
      convertToFloat32(info.dtype, viewAs(info.dtype, buffer), out, at);
    }
    return out;
  }

  /** Closes the files. */
  async close(): Promise<void> {
    for (const handle of this.handles.values()) await handle.close();
  }

  private async fill(info: TensorInfo, begin: number, buffer: ArrayBuffer): Promise<void> {
    const handle = this.handles.get(info.file) as FileHandle;
    for (let done = 0; done < buffer.byteLength;) {
      const length = Math.min(pieceBytes, buffer.byteLength - done);
      const { bytesRead } = await handle.read(new Uint8Array(buffer, done, length), 0, length, begin + done);
      if (bytesRead === 0) {
        const what = `the file ended at byte ${begin + done} while it was read: it was cut off meanwhile`;
        throw new SafetensorsError('data_truncated', info.file, info.name, what);
      }
      done += bytesRead;
    }
  }
}

async function readHeader(file: string, handle: FileHandle): Promise<ReturnType<typeof parseHeader>> {
  const fileBytes = (await handle.stat()).size;
  const length = headerLength(file, await readBytes(handle, 0, Math.min(8, fileBytes)));
  const json = await readBytes(handle, 8, Math.min(length, fileBytes - 8));
  if (json.length < length) throw incompleteHeader(file, length, json);
  return parseHeader(file, json, fileBytes);
}

async function readBytes(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

/**
 * Opens a checkpoint: names, shapes and dtypes at once, data one tensor at a time. Close it afterwards.
 * @param where a `.safetensors` file, a `.safetensors.index.json`, or a folder with `model.safetensors` or its index
 * @throws SafetensorsError whose `code` says what is wrong, and whose message names file and tensor
 */
export function openSafetensors(where: string): Promise<SafetensorsReader> {
  return SafetensorsReader.open(where);
}

export interface ReadOptions {
  /** What NaN or infinity in float tensors does: `warn` (default) emits a process warning, `error` throws, `allow` does not look. */
  nonFinite?: 'warn' | 'error' | 'allow';
}

/**
 * All tensors of a checkpoint, as they lie in the file. 16-bit floats come as bits: see {@link toFloat32}.
 * @param where as for {@link openSafetensors}
 * @throws SafetensorsError, see {@link openSafetensors}; `non_finite_values` when asked for
 */
export async function readSafetensors(where: string, options: ReadOptions = {}): Promise<Record<string, RawTensor>> {
  const reader = await openSafetensors(where);
  try {
    const entries: [string, RawTensor][] = [];
    for (const name of reader.names) {
      const tensor = await reader.read(name);
      if (options.nonFinite !== 'allow') {
        report(nonFiniteError(reader.info(name).file, name, tensor), options);
      }
      entries.push([name, tensor]);
    }
    return Object.fromEntries(entries);
  } finally {
    await reader.close();
  }
}

/**
 * Looks through all float tensors for NaN and infinity, one tensor in memory at a time.
 * @throws SafetensorsError `non_finite_values`, naming the first such tensor and its counts
 */
export async function checkFinite(where: string): Promise<void> {
  const reader = await openSafetensors(where);
  try {
    for (const name of reader.names) {
      const error = nonFiniteError(reader.info(name).file, name, await reader.read(name));
      if (error) throw error;
    }
  } finally {
    await reader.close();
  }
}

function report(error: SafetensorsError | undefined, { nonFinite }: ReadOptions): void {
  if (error && nonFinite === 'error') throw error;
  if (error) process.emitWarning(error.message, { code: error.code });
}

/** Only whether there are any: a look at a billion weights should not take longer than reading them. */
function hasNonFinite(values: Float32Array): boolean {
  let zero = 0;
  for (let i = 0; i < values.length; i++) zero += values[i] * 0; // NaN as soon as one is
  return zero !== 0;
}

function nonFiniteError(file: string, name: string, tensor: RawTensor): SafetensorsError | undefined {
  if (!['F64', 'F32', 'F16', 'BF16'].includes(tensor.dtype)) return undefined;
  const { nan, infinite } = countNonFinite(tensor);
  if (nan + infinite === 0) return undefined;
  const what = `${nan} NaN and ${infinite} infinite of its ${tensor.data.length} values`;
  return new SafetensorsError('non_finite_values', file, name, what);
}

function countNonFinite(tensor: RawTensor): { nan: number; infinite: number } {
  let nan = 0;
  let infinite = 0;
  // 16-bit floats are judged by their bits: all exponent bits set, and a fraction for NaN.
  const exponent = tensor.dtype === 'BF16' ? 0x7f80 : 0x7c00;
  const bits = tensor.data instanceof Uint16Array;
  for (const element of tensor.data) {
    const value = element as number;
    if (bits) {
      if ((value & exponent) !== exponent) continue;
      if ((value & 0x7fff) === exponent) infinite++;
      else nan++;
    } else if (!Number.isFinite(value)) {
      if (value !== value) nan++;
      else infinite++;
    }
  }
  return { nan, infinite };
}
