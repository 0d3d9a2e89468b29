/** The header of one safetensors file: parsed, and checked so that nothing later can read outside its tensor. */
import { type DType, bytesOf, dtypeNames, isDType } from './dtypes';
import { SafetensorsError, type SafetensorsErrorCode } from './errors';
import { findDuplicateKey } from './json-keys';

/** Where one tensor lies; `begin` and `end` count from the start of the file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The format's own limit (100 MB): a larger length is a corrupt one. */
export const maxHeaderBytes = 100_000_000;

/**
 * Reads the length field.
 * @param prefix the first 8 bytes of the file (fewer when the file is shorter)
 * @returns bytes of JSON that follow
 * @throws SafetensorsError `file_too_short`, `header_too_large`
 */
export function headerLength(file: string, prefix: Uint8Array): number {
  if (prefix.length < 8) {
    const what = `it has ${prefix.length} bytes; a safetensors file begins with 8 bytes of header length`;
    throw new SafetensorsError('file_too_short', file, undefined, what);
  }
  // As a big integer: as a number, an absurd length could round to a possible one.
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) {
    const what = `its header length is ${length} bytes, more than the format's limit of ${maxHeaderBytes}; this is no safetensors file, or a corrupt one`;
    throw new SafetensorsError('header_too_large', file, undefined, what);
  }
  return Number(length);
}

/**
 * The error of a file that ends before its header does. When what is there is a whole JSON object, the length field
 * is at fault; when it breaks off, the file is.
 */
export function incompleteHeader(file: string, length: number, available: Uint8Array): SafetensorsError {
  const numbers = `the header length says ${length} bytes, the file has ${available.length} after it`;
  return holdsWholeObject(available)
    ? new SafetensorsError('header_length_exceeds_file', file, undefined, `${numbers}: the length is wrong`)
    : new SafetensorsError('header_truncated', file, undefined, `${numbers}: the file breaks off inside its header`);
}

/** Whether the bytes begin with a JSON object that is closed again. */
function holdsWholeObject(bytes: Uint8Array): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i];
    if (inString) {
      if (c === 0x5c) i++;
      else if (c === 0x22) inString = false;
    } else if (c === 0x22) inString = true;
    else if (c === 0x7b) depth++;
    else if (c === 0x7d && --depth === 0) return true;
  }
  return false;
}

/**
 * Parses and checks a header.
 * @param json the header's bytes, all of them
 * @param fileBytes size of the whole file
 * @throws SafetensorsError naming the tensor and the fault
 */
export function parseHeader(file: string, json: Uint8Array, fileBytes: number): Header {
  const fail = (code: SafetensorsErrorCode, what: string, tensor?: string): never => {
    throw new SafetensorsError(code, file, tensor, what);
  };
  let text = '';
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
  } catch {
    fail('header_not_utf8', 'its header is not valid UTF-8');
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    fail('header_invalid_json', `its header is not JSON (${(error as Error).message})`);
  }
  if (!isObject(parsed)) return fail('header_not_object', 'its header is JSON, but not an object of tensors');
  const twice = findDuplicateKey(text);
  if (twice) {
    const tensor = twice.depth === 1 ? twice.key : twice.within;
    fail(
      'duplicate_key',
      `its header has the key '${twice.key}' twice, and it is not clear which one is meant`,
      tensor,
    );
  }

  const dataStart = 8 + json.length;
  const entries = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(parsed)) {
    if (name === '__metadata__') {
      const ok = isObject(value) && Object.values(value).every((v) => typeof v === 'string');
      if (!ok) fail('invalid_metadata', '__metadata__ must be an object of strings');
      metadata = value as Record<string, string>;
    } else {
      entries.set(name, checkEntry(name, value, dataStart, fail));
    }
  }
  checkCoverage([...entries.values()], dataStart, fileBytes, fail);
  return { entries, metadata };
}

type Fail = (code: SafetensorsErrorCode, what: string, tensor?: string) => never;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function checkEntry(name: string, value: unknown, dataStart: number, fail: Fail): TensorEntry {
  if (!isObject(value))
    return fail('invalid_entry', 'its header entry is not an object with dtype, shape and data_offsets', name);
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isDType(dtype)) {
    return fail('unknown_dtype', `dtype ${JSON.stringify(dtype)} is not one of ${dtypeNames.join(', ')}`, name);
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    return fail('invalid_shape', `shape ${JSON.stringify(shape)} is not a list of non-negative integers`, name);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize) || offsets[0] > offsets[1]) {
    return fail(
      'invalid_offsets',
      `data_offsets ${JSON.stringify(offsets)} is not [begin, end] with 0 <= begin <= end`,
      name,
    );
  }
  // In big integers: the product of a corrupt shape need not fit a number.
  const needs = shape.reduce((product, size) => product * BigInt(size), BigInt(bytesOf(dtype)));
  const [begin, end] = offsets as [number, number];
  if (needs !== BigInt(end - begin)) {
    const what = `shape [${shape.join(', ')}] of ${dtype} needs ${needs} bytes, data_offsets [${begin}, ${end}] give ${end - begin}`;
    return fail('size_mismatch', what, name);
  }
  return { name, dtype, shape, begin: dataStart + begin, end: dataStart + end };
}

/** The tensors, laid side by side, must fill the data section: no byte twice, none left over. */
function checkCoverage(entries: TensorEntry[], dataStart: number, fileBytes: number, fail: Fail): void {
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let reached = dataStart;
  let before: TensorEntry | undefined;
  for (const entry of entries) {
    const at = entry.begin - dataStart;
    const upTo = reached - dataStart;
    if (entry.begin < reached) {
      fail(
        'offsets_overlap',
        `it begins at byte ${at} of the data, but tensor '${before?.name}' ends at ${upTo}`,
        entry.name,
      );
    }
    if (entry.begin > reached) {
      fail(
        'offsets_gap',
        `it begins at byte ${at} of the data, and bytes ${upTo} to ${at} belong to no tensor`,
        entry.name,
      );
    }
    reached = entry.end;
    before = entry;
  }
  if (reached > fileBytes) {
    const cut = entries.find((entry) => entry.end > fileBytes);
    const what = `the data ends at byte ${fileBytes - dataStart}, this tensor at ${(cut?.end ?? reached) - dataStart}: the file is cut off`;
    fail('data_truncated', what, cut?.name);
  }
  if (reached < fileBytes) {
    fail('trailing_data', `${fileBytes - reached} bytes follow its last tensor and belong to none`);
  }
}
