/** Writing safetensors: aside, to the disk, then renamed, so that a broken write leaves what was there before. */
import { mkdir, readdir, rm } from 'node:fs/promises';
import * as path from 'node:path';
import { type DType, type TensorData, bytesOf, isDType, toBfloat16Bits, toFloat16Bits, viewAs } from './dtypes';
import { type FileJob, type Put, writeFilesAtomic } from '../write-file';
import { SafetensorsError } from './errors';

/** A tensor to write. Its numbers may be a function, called when their turn comes, so that not all need be in memory. */
export interface WritableTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /**
   * The numbers, row-major. For `BF16` and `F16`: a `Float32Array` (rounded to nearest even) or the bits as a
   * `Uint16Array`; for `I64`: big integers or an `Int32Array`; otherwise the dtype's own array.
   */
  readonly data: TensorData | (() => TensorData | Promise<TensorData>);
}

export interface WriteOptions {
  /** Strings kept in the file's `__metadata__`. */
  metadata?: Readonly<Record<string, string>>;
  /** Above so many bytes of data the tensors go into several files with an index. Default: one file whatever its size. */
  shardBytes?: number;
}

/**
 * Writes tensors as safetensors. What was there before stays, whole, until the new files are complete on the disk: a
 * process that is stopped at any moment leaves the old checkpoint or the new one.
 *
 * With `shardBytes` and more data than that: `NAME-00001-of-0000N.safetensors` and `NAME.safetensors.index.json` are
 * written beside each other (NAME from `file`), and an older `NAME.safetensors` is removed once they stand. Where an
 * older checkpoint's shards have these names, the new ones are `NAME-v2-00001-of-0000N.safetensors` and so on, as the
 * old index needs the old ones until its place is taken.
 * @param file path ending in `.safetensors`; its folder is made when missing
 * @returns the files written, the index last
 * @throws SafetensorsError when a tensor's shape, dtype and data do not fit; WriteFileError (ENOSPC, EACCES) with
 *   nothing changed otherwise
 */
export async function writeSafetensors(
  file: string,
  tensors: Readonly<Record<string, WritableTensor>>,
  options: WriteOptions = {},
): Promise<string[]> {
  if (!file.endsWith('.safetensors')) {
    throw new SafetensorsError('invalid_argument', file, undefined, 'the file name must end in .safetensors');
  }
  const items = Object.entries(tensors).map(([name, tensor]) => checkTensor(file, name, tensor));
  await mkdir(path.dirname(file), { recursive: true });
  const total = items.reduce((sum, item) => sum + item.bytes, 0);
  if (options.shardBytes === undefined || total <= options.shardBytes) {
    await writeFilesAtomic([{ file, write: (put) => writeTensors(put, file, items, options.metadata) }]);
    await removeOthers(file, [file]);
    return [file];
  }
  return writeShards(file, items, total, options.shardBytes, options.metadata);
}

interface Item {
  readonly name: string;
  readonly tensor: WritableTensor;
  readonly elements: number;
  readonly bytes: number;
}

function checkTensor(file: string, name: string, tensor: WritableTensor): Item {
  const fail = (what: string): never => {
    throw new SafetensorsError('invalid_argument', file, name, what);
  };
  if (name === '__metadata__') fail('this name is kept for the metadata');
  if (!isDType(tensor.dtype)) fail(`unknown dtype '${String(tensor.dtype)}'`);
  if (!tensor.shape.every((size) => Number.isSafeInteger(size) && size >= 0))
    fail(`shape [${tensor.shape.join(', ')}] is not a list of sizes`);
  const elements = tensor.shape.reduce((product, size) => product * size, 1);
  return { name, tensor, elements, bytes: elements * bytesOf(tensor.dtype) };
}

async function writeShards(
  file: string,
  items: readonly Item[],
  total: number,
  shardBytes: number,
  metadata: WriteOptions['metadata'],
): Promise<string[]> {
  const shards: Item[][] = [];
  let filled = Infinity;
  for (const item of items) {
    if (filled + item.bytes > shardBytes) {
      shards.push([]);
      filled = 0;
    }
    shards[shards.length - 1].push(item);
    filled += item.bytes;
  }
  const stem = file.slice(0, -'.safetensors'.length);
  const names = await freeNames(stem, shards.length);
  const weightMap: Record<string, string> = {};
  const jobs: FileJob[] = shards.map((shard, i) => {
    const name = names[i];
    for (const item of shard) weightMap[item.name] = path.basename(name);
    return { file: name, write: (put) => writeTensors(put, name, shard, metadata) };
  });
  const index = `${JSON.stringify({ metadata: { total_size: total }, weight_map: weightMap }, null, 2)}\n`;
  jobs.push({ file: `${stem}.safetensors.index.json`, write: (put) => put(Buffer.from(index)) });
  await writeFilesAtomic(jobs);
  const written = jobs.map((job) => job.file);
  await removeOthers(file, written);
  return written;
}

/** Names for the shards of which none is taken. */
async function freeNames(stem: string, count: number): Promise<string[]> {
  const there = new Set(await readdir(path.dirname(stem)));
  const five = (n: number): string => String(n).padStart(5, '0');
  for (let version = 1; ; version++) {
    const own = version === 1 ? stem : `${stem}-v${version}`;
    const names = Array.from({ length: count }, (_, i) => `${own}-${five(i + 1)}-of-${five(count)}.safetensors`);
    if (!names.some((name) => there.has(path.basename(name)))) return names;
  }
}

/** An older checkpoint of the same name in another form (whole or sharded) would be read in place of the new one. */
async function removeOthers(file: string, written: readonly string[]): Promise<void> {
  const stem = path.basename(file).slice(0, -'.safetensors'.length);
  const keep = new Set(written.map((name) => path.basename(name)));
  const folder = path.dirname(file);
  for (const name of await readdir(folder)) {
    if (!name.startsWith(stem) || keep.has(name)) continue;
    if (/^((-v\d+)?-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$/.test(name.slice(stem.length))) {
      await rm(path.join(folder, name), { force: true });
    }
  }
}

async function writeTensors(
  put: Put,
  file: string,
  items: readonly Item[],
  metadata: WriteOptions['metadata'],
): Promise<void> {
  // Wide elements first: every tensor is then aligned to its element, and other readers can map the file.
  const order = [...items].sort(
    (a, b) => bytesOf(b.tensor.dtype) - bytesOf(a.tensor.dtype) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  let offset = 0;
  const header: [string, unknown][] = metadata ? [['__metadata__', metadata]] : [];
  for (const { name, tensor, bytes } of order) {
    header.push([name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [offset, offset + bytes] }]);
    offset += bytes;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const padded = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  padded.writeBigUInt64LE(BigInt(padded.length - 8));
  json.copy(padded, 8);
  await put(padded);
  for (const item of order) {
    const { data } = item.tensor;
    await writeTensor(put, file, item, typeof data === 'function' ? await data() : data);
  }
}

/** Elements converted at a time: a whole 16-bit copy of a large tensor is never needed. */
const pieceElements = 4 * 1024 * 1024;

async function writeTensor(put: Put, file: string, item: Item, data: TensorData): Promise<void> {
  const { dtype, shape } = item.tensor;
  if (data.length !== item.elements) {
    const what = `shape [${shape.join(', ')}] needs ${item.elements} numbers, its data has ${data.length}`;
    throw new SafetensorsError('invalid_argument', file, item.name, what);
  }
  for (let at = 0; at < data.length; at += pieceElements) {
    const piece = encode(dtype, data.subarray(at, at + pieceElements));
    if (!piece) {
      const what = `${data.constructor.name} cannot be written as ${dtype}`;
      throw new SafetensorsError('invalid_argument', file, item.name, what);
    }
    await put(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength));
  }
}

/** The piece in the dtype's own array; undefined when there is no safe way from one to the other. */
function encode(dtype: DType, piece: TensorData): TensorData | undefined {
  if (piece instanceof Float32Array && dtype === 'BF16') return Uint16Array.from(piece, toBfloat16Bits);
  if (piece instanceof Float32Array && dtype === 'F16') return Uint16Array.from(piece, toFloat16Bits);
  if (piece instanceof Int32Array && dtype === 'I64') return BigInt64Array.from(Array.from(piece, BigInt));
  return viewAs(dtype, new ArrayBuffer(0)).constructor === piece.constructor ? piece : undefined;
}
