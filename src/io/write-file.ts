/**
 * Writing files so that nothing is lost: a new file takes the old one's place only when every byte of it is on the
 * disk. A full disk, a killed process or a power cut at any moment leaves the old file or the new one, whole.
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, readlink, realpath, rename, rm, stat } from 'node:fs/promises';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isLeftBehind, processTag } from './running';
import { syncFolder } from './sync-folder';

/** Appends bytes to the file that is being written; all of them, or it throws. */
export type Put = (bytes: Uint8Array) => Promise<void>;

/** One file to write. */
export interface FileJob {
  readonly file: string;
  readonly write: (put: Put) => Promise<void>;
  /** Permissions of a file that is not there yet, before the process' umask. Default 0o666; a file that is there keeps its own. */
  readonly mode?: number;
}

/** A file was not written. `code` is the system's: ENOSPC, EACCES, ... */
export class WriteFileError extends Error {
  override readonly name = 'WriteFileError';
  readonly code?: string;
  constructor(
    readonly file: string,
    readonly why: string,
    options?: ErrorOptions,
  ) {
    super(`${file} was not written, and is as it was: ${why}`, options);
    this.code = (options?.cause as NodeJS.ErrnoException | undefined)?.code;
  }
}

/**
 * Writes a file whole, or leaves what was there before. A symbolic link stays, and what it names is written. A pipe or
 * a device is written through and never replaced.
 * @param mode permissions of a file that is not there yet, before the process' umask; a file that is there keeps its own
 * @throws WriteFileError for a full disk, missing rights, a missing folder, a pipe that nobody reads
 */
export async function writeFileAtomic(file: string, data: string | Uint8Array, mode?: number): Promise<void> {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  await inOrder([{ file, mode, write: (put) => put(bytes) }], false);
}

/** Files that are being written in this process, by the last one's path: a later write ends later. */
const running = new Map<string, Promise<unknown>>();

/**
 * Writes several files as {@link writeFileAtomic} does: all of them aside first, and only when each is on the disk do
 * they get their names, in the order given. The last one may name the others: it gets its name when theirs are safe.
 */
export async function writeFilesAtomic(jobs: readonly FileJob[]): Promise<void> {
  if (jobs.length > 0) await inOrder(jobs, true);
}

/** @param sweep whether to look for leftovers in a folder that was looked through before; folders of images are large */
async function inOrder(jobs: readonly FileJob[], sweep: boolean): Promise<void> {
  const key = path.resolve(jobs[jobs.length - 1].file);
  const before = running.get(key) ?? Promise.resolve();
  const own = before.then(() => writeAside(jobs, sweep));
  const settled = own.catch(() => undefined);
  running.set(key, settled);
  try {
    await own;
  } finally {
    if (running.get(key) === settled) running.delete(key);
  }
}

interface Aside {
  readonly target: string;
  readonly partial: string;
}

/** Tells apart what one process writes at the same time. */
let writes = 0;

async function writeAside(jobs: readonly FileJob[], sweep: boolean): Promise<void> {
  const made: Aside[] = [];
  let { file } = jobs[0];
  try {
    for (const job of jobs) {
      file = job.file;
      const aside = await writePartial(job, made, sweep);
      if (!aside) await writeThrough(job);
    }
    const folders = new Set(made.map(({ target }) => path.dirname(target)));
    for (const [i, { target, partial }] of made.entries()) {
      file = target;
      if (i > 0 && i === made.length - 1) await Promise.all([...folders].map(syncFolder));
      await rename(partial, target);
    }
    await Promise.all([...folders].map(syncFolder));
  } catch (error) {
    for (const { partial } of made) await rm(partial, { force: true }).catch(() => undefined);
    throw error instanceof WriteFileError || !isSystemError(error)
      ? error
      : new WriteFileError(file, reason(error), { cause: error });
  }
}

/** Writes a job's file aside. @returns undefined for what is no regular file, and so cannot be replaced */
async function writePartial(job: FileJob, made: Aside[], sweep: boolean): Promise<Aside | undefined> {
  const there = await stat(job.file).catch(missing);
  if ((there && !there.isFile()) || isDescriptor(job.file)) return undefined;
  const target = await resolveLinks(job.file);
  const folder = path.dirname(target);
  if (sweep || !swept.has(folder)) await removeLeftovers(folder);
  const aside = {
    target,
    partial: path.join(folder, `.${path.basename(target).slice(0, 40)}.${processTag}.${writes++}.partial`),
  };
  made.push(aside);
  const handle = await open(aside.partial, 'wx', job.mode ?? 0o666);
  try {
    await writeChecked(handle, job);
    if (there) {
      await handle.chmod(there.mode & 0o7777);
      // Only root may give files away; for everybody else the new file is their own, as any new file.
      await handle.chown(there.uid, there.gid).catch(() => undefined);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return aside;
}

async function writeChecked(handle: FileHandle, job: FileJob): Promise<void> {
  let length = 0;
  await job.write(async (bytes) => {
    await writeAll(handle, bytes);
    length += bytes.length;
  });
  const { size } = await handle.stat();
  if (size !== length) throw new WriteFileError(job.file, `${size} of ${length} bytes reached the disk`);
}

/** The system may write a part and say so, as it does on a full disk: only the next write fails. */
async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done);
    if (bytesWritten === 0)
      throw Object.assign(new Error('the system takes no more bytes'), { code: 'ENOSPC', errno: -28 });
    done += bytesWritten;
  }
}

/** How long a pipe may be without a reader, in milliseconds. */
const readerPatience = 10_000;

/** Writes to a pipe or a device, which stays what it is. */
async function writeThrough(job: FileJob): Promise<void> {
  const there = await stat(job.file);
  const kind = there.isDirectory()
    ? 'a folder'
    : there.isBlockDevice()
      ? 'a disk'
      : there.isSocket()
        ? 'a socket'
        : undefined;
  if (kind) throw new WriteFileError(job.file, `it is ${kind}`);
  const handle = await openThrough(job.file);
  try {
    await job.write(async (bytes) => {
      for (let done = 0; done < bytes.length;) done += await writeSome(handle, bytes.subarray(done));
    });
  } finally {
    await handle.close();
  }
}

/** Opened so that neither a pipe without a reader nor a slow reader blocks a thread. */
async function openThrough(file: string): Promise<FileHandle> {
  const until = performance.now() + readerPatience;
  for (;;) {
    try {
      return await open(file, constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
      if (performance.now() > until) throw new WriteFileError(file, 'nobody reads from the pipe', { cause: error });
      await sleep(50);
    }
  }
}

async function writeSome(handle: FileHandle, bytes: Uint8Array): Promise<number> {
  try {
    return (await handle.write(bytes)).bytesWritten;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    await sleep(5);
    return 0;
  }
}

/** `/dev/stdout` and its like: also where they lead to a regular file, it is open elsewhere and must stay that file. */
function isDescriptor(file: string): boolean {
  return /^\/(?:dev\/(?:std(?:in|out|err)$|fd\/)|proc\/)/.test(path.resolve(file));
}

/** Where a path leads; a link may name a file that is not there yet. */
async function resolveLinks(file: string): Promise<string> {
  let target = path.resolve(file);
  for (let links = 0; links < 40; links++) {
    const there = await lstat(target).catch(missing);
    const folder = await realpath(path.dirname(target));
    if (!there?.isSymbolicLink()) return path.join(folder, path.basename(target));
    target = path.resolve(folder, await readlink(target));
  }
  throw new WriteFileError(file, 'its symbolic links form a circle');
}

/** Folders that this process has looked through. */
const swept = new Set<string>();

/** Removes what processes that are gone had begun to write. */
async function removeLeftovers(folder: string): Promise<void> {
  swept.add(folder);
  const names = (await readdir(folder)).filter((name) => name.endsWith('.partial') && isLeftBehind(name));
  for (const name of names) await rm(path.join(folder, name), { force: true }).catch(() => undefined);
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return typeof (error as NodeJS.ErrnoException | undefined)?.errno === 'number';
}

function reason({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOSPC' || code === 'EDQUOT') return `the disk is full (${code})`;
  if (code === 'EFBIG') return `the file would be larger than is allowed (${code})`;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return `no right to write there (${message})`;
  return message;
}

/**
 * Appends to an open file, or leaves it as it was: a half-written line would spoil the next one.
 * @param handle opened with `a`, by one writer
 */
export async function appendWhole(handle: FileHandle, data: string | Uint8Array): Promise<void> {
  const before = await handle.stat();
  try {
    await writeAll(handle, typeof data === 'string' ? Buffer.from(data) : data);
  } catch (error) {
    if (before.isFile()) await handle.truncate(before.size);
    throw error;
  }
}
