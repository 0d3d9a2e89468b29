/** Writing safetensors: aside, to the disk, then renamed, so that a broken write leaves what was there before. */
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import * as path from 'node:path';
import { type DType, type TensorData, bytesOf, isDType, toBfloat16Bits, toFloat16Bits, viewAs } from './dtypes';
import { isRunning } from '../running';
import { syncFolder } from '../sync-folder';
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
 * @throws SafetensorsError when a tensor's shape, dtype and data do not fit; the system's error (ENOSPC, EACCES) with
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
    await writeAside([{ file, write: (handle) => writeFile(handle, file, items, options.metadata) }]);
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
  const jobs: Job[] = shards.map((shard, i) => {
    const name = names[i];
    for (const item of shard) weightMap[item.name] = path.basename(name);
    return { file: name, write: (handle) => writeFile(handle, name, shard, metadata) };
  });
  const index = `${JSON.stringify({ metadata: { total_size: total }, weight_map: weightMap }, null, 2)}\n`;
  jobs.push({ file: `${stem}.safetensors.index.json`, write: (handle) => writeAll(handle, Buffer.from(index)) });
  await writeAside(jobs);
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

interface Job {
  readonly file: string;
  readonly write: (handle: FileHandle) => Promise<void>;
}

/** Tells apart what one process writes at the same time. */
let writes = 0;

/** Writes all files aside and only then, when every byte is on the disk, gives them their names; the last one's counts. */
async function writeAside(jobs: readonly Job[]): Promise<void> {
  const folder = path.dirname(jobs[0].file);
  await removeLeftovers(folder);
  const mark = `${process.pid}-${writes++}`;
  const aside = jobs.map(({ file }) => path.join(folder, `.${path.basename(file)}.${mark}.partial`));
  try {
    for (const [i, job] of jobs.entries()) {
      const handle = await open(aside[i], 'w');
      try {
        await job.write(handle);
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
    for (const [i, job] of jobs.entries()) {
      // The index must never be on the disk before what it names.
      if (i > 0 && i === jobs.length - 1) await syncFolder(folder);
      await rename(aside[i], job.file);
    }
  } catch (error) {
    for (const name of aside) await rm(name, { force: true });
    throw error;
  }
  await syncFolder(folder);
}

/** Removes what processes that are gone had begun to write. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = /^\..*\.safetensors(?:\.index\.json)?\.(\d+)(?:-\d+)?\.partial$/.exec(name)?.[1];
    if (pid && Number(pid) !== process.pid && !isRunning(Number(pid)))
      await rm(path.join(folder, name), { force: true });
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

async function writeFile(
  handle: FileHandle,
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
  await writeAll(handle, padded);
  for (const item of order) {
    const { data } = item.tensor;
    await writeTensor(handle, file, item, typeof data === 'function' ? await data() : data);
  }
}

/** Elements converted at a time: a whole 16-bit copy of a large tensor is never needed. */
const pieceElements = 4 * 1024 * 1024;

async function writeTensor(handle: FileHandle, file: string, item: Item, data: TensorData): Promise<void> {
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
    await writeAll(handle, new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength));
  }
}

/** The piece in the dtype's own array; undefined when there is no safe way from one to the other. */
function encode(dtype: DType, piece: TensorData): TensorData | undefined {
  if (piece instanceof Float32Array && dtype === 'BF16') return Uint16Array.from(piece, toBfloat16Bits);
  if (piece instanceof Float32Array && dtype === 'F16') return Uint16Array.from(piece, toFloat16Bits);
  if (piece instanceof Int32Array && dtype === 'I64') return BigInt64Array.from(Array.from(piece, BigInt));
  return viewAs(dtype, new ArrayBuffer(0)).constructor === piece.constructor ? piece : undefined;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten;
  }
}
