/** Numbered checkpoints in a folder: each is whole or not there, and a broken one says so. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import * as path from 'node:path';
import { type RawTensor, type WritableTensor, readSafetensors, writeSafetensors } from './safetensors';
import { isRunning } from './running';
import { syncFolder } from './sync-folder';
import { WriteFileError, writeFileAtomic } from './write-file';

/** A checkpoint could not be saved or loaded. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
  /** @param checkpoint the checkpoint's folder */
  constructor(
    readonly checkpoint: string,
    what: string,
    options?: ErrorOptions,
  ) {
    super(`checkpoint ${checkpoint}: ${what}`, options);
  }
}

/** What is saved: named tensors, and anything that JSON holds (step counters, generators, optimizer settings). */
export interface CheckpointContent<S> {
  readonly tensors: Readonly<Record<string, WritableTensor>>;
  readonly state: S;
}

export interface LoadedCheckpoint<S> {
  readonly step: number;
  readonly folder: string;
  readonly tensors: Record<string, RawTensor>;
  readonly state: S;
  /** Newer checkpoints that were broken and passed over (only with `fallback`). */
  readonly skipped: readonly CheckpointError[];
}

interface Manifest {
  readonly format: 1;
  readonly step: number;
  readonly tensors: { readonly bytes: number; readonly sha256: string };
  readonly state: unknown;
}

const tensorsFile = 'model.safetensors';
const manifestFile = 'state.json';

/**
 * Checkpoints `step-00000042/` in a folder, each a `model.safetensors` and a `state.json` that holds the first's
 * checksum. A checkpoint is written aside and renamed when complete, so an interrupted or failed save changes nothing.
 */
export class CheckpointStore<S = unknown> {
  /**
   * @param folder made when the first checkpoint is saved
   * @param keep how many newest checkpoints stay, default 3; at least 1
   */
  constructor(
    readonly folder: string,
    private readonly keep = 3,
  ) {
    if (!Number.isInteger(keep) || keep < 1) throw new RangeError(`keep must be a positive integer, got ${keep}`);
  }

  /** The steps that have a checkpoint, ascending. */
  async steps(): Promise<number[]> {
    const names = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [] as string[];
      throw error;
    });
    // A save that replaces a step moves the old one away first: stopped between the two, the old one is still there.
    for (const name of names) {
      const replaced = /^\.(step-\d{8})\.replaced$/.exec(name);
      if (!replaced || names.includes(replaced[1])) continue;
      await rename(path.join(this.folder, name), path.join(this.folder, replaced[1]));
      names.push(replaced[1]);
    }
    return names
      .flatMap((name) => /^step-(\d{8})$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  /**
   * Saves a checkpoint and removes the oldest beyond `keep`.
   * @param step 0 to 99999999
   * @returns the checkpoint's folder
   * @throws CheckpointError when it cannot be written (disk full, no rights); those before it are intact
   */
  async save(step: number, content: CheckpointContent<S>): Promise<string> {
    if (!Number.isInteger(step) || step < 0 || step > 99_999_999) {
      throw new RangeError(`a checkpoint's step must be an integer from 0 to 99999999, got ${step}`);
    }
    const target = this.at(step);
    const aside = path.join(this.folder, `.${path.basename(target)}.${process.pid}.partial`);
    const replaced = path.join(this.folder, `.${path.basename(target)}.replaced`);
    try {
      await this.removeLeftovers();
      await mkdir(aside, { recursive: true });
      const [file] = await writeSafetensors(path.join(aside, tensorsFile), content.tensors, {
        metadata: { format: 'pt', step: String(step) },
      });
      const tensors = { bytes: (await stat(file)).size, sha256: await sha256(file) };
      const manifest: Manifest = { format: 1, step, tensors, state: content.state };
      await writeFileAtomic(path.join(aside, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`);
      const steps = await this.steps();
      if (steps.includes(step)) await rename(target, replaced);
      await rename(aside, target);
      await syncFolder(this.folder);
      await rm(replaced, { recursive: true, force: true });
    } catch (error) {
      await rm(aside, { recursive: true, force: true });
      throw await this.saveError(target, error);
    }
    for (const old of (await this.steps()).slice(0, -this.keep)) await rm(this.at(old), { recursive: true });
    return target;
  }

  /**
   * The newest checkpoint; undefined when there is none.
   * @param options.fallback when the newest is broken, take the newest whole one (its `skipped` lists the others);
   *   default false
   * @throws CheckpointError when the newest is broken, naming file, fault and the one before it
   */
  async latest(options: { fallback?: boolean } = {}): Promise<LoadedCheckpoint<S> | undefined> {
    const steps = (await this.steps()).reverse();
    const skipped: CheckpointError[] = [];
    for (const [i, step] of steps.entries()) {
      try {
        return { ...(await this.load(step)), skipped };
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        skipped.push(error);
        if (options.fallback) continue;
        const before = steps[i + 1];
        const mend =
          before === undefined
            ? 'there is no checkpoint before it; remove its folder to start anew'
            : `the one before it is ${this.at(before)}; to go on from there, ask for the fallback or remove the broken folder`;
        throw new CheckpointError(
          error.checkpoint,
          `${error.message.slice(error.message.indexOf(': ') + 2)} (${mend})`,
          { cause: error },
        );
      }
    }
    if (skipped.length === 0) return undefined;
    throw new CheckpointError(
      this.folder,
      `all ${skipped.length} checkpoints are broken: ${skipped.map((e) => e.message).join('; ')}`,
    );
  }

  /** One checkpoint. @throws CheckpointError when it is not there or broken, naming the file and the fault */
  async load(step: number): Promise<LoadedCheckpoint<S>> {
    const folder = this.at(step);
    const broken = (what: string, cause?: unknown): CheckpointError => new CheckpointError(folder, what, { cause });
    const steps = await this.steps();
    if (!steps.includes(step)) throw broken(`there is none; the steps saved are ${steps.join(', ') || 'none'}`);
    let manifest: Manifest;
    try {
      manifest = JSON.parse(await readFile(path.join(folder, manifestFile), 'utf8')) as Manifest;
    } catch (error) {
      throw broken(`${manifestFile} cannot be read (${message(error)})`, error);
    }
    if (manifest?.format !== 1 || manifest.step !== step || typeof manifest.tensors?.sha256 !== 'string') {
      throw broken(`${manifestFile} is not the description of step ${step}`);
    }
    const file = path.join(folder, tensorsFile);
    const size = (await stat(file).catch(() => undefined))?.size;
    if (size === undefined) throw broken(`${tensorsFile} is missing`);
    if (size !== manifest.tensors.bytes) {
      throw broken(`${tensorsFile} has ${size} bytes, ${manifest.tensors.bytes} were written`);
    }
    if ((await sha256(file)) !== manifest.tensors.sha256) {
      throw broken(`${tensorsFile} is not what was written: its checksum differs`);
    }
    try {
      const tensors = await readSafetensors(file, { nonFinite: 'allow' });
      return { step, folder, tensors, state: manifest.state as S, skipped: [] };
    } catch (error) {
      throw broken(message(error), error);
    }
  }

  /** Removes one checkpoint, as after a {@link latest} that passed over a broken one. Nothing happens when there is none. */
  async remove(step: number): Promise<void> {
    await rm(this.at(step), { recursive: true, force: true });
  }

  private at(step: number): string {
    return path.join(this.folder, `step-${String(step).padStart(8, '0')}`);
  }

  /** What a killed process left aside. */
  private async removeLeftovers(): Promise<void> {
    const names = await readdir(this.folder).catch(() => [] as string[]);
    for (const name of names) {
      const pid = /^\.step-\d{8}\.(\d+)\.partial$/.exec(name)?.[1];
      // Our own: left by a save that threw while cleaning up.
      const left = pid !== undefined && (Number(pid) === process.pid || !isRunning(Number(pid)));
      if (left) await rm(path.join(this.folder, name), { recursive: true, force: true });
    }
  }

  private async saveError(target: string, error: unknown): Promise<Error> {
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === 'ENOSPC' || code === 'EDQUOT'
        ? 'the disk is full; free some space and go on from the newest checkpoint'
        : error instanceof WriteFileError
          ? error.why
          : message(error);
    const steps = await this.steps().catch(() => []);
    const intact =
      steps.length > 0 ? `what was saved before is intact: steps ${steps.join(', ')}` : 'nothing had been saved before';
    return new CheckpointError(target, `it was not saved: ${why} (${intact})`, { cause: error });
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(piece as Buffer);
  return hash.digest('hex');
}
