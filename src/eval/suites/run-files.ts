/**
 * The folder of an evaluation, which can be killed at any moment and gone on with:
 *
 *   options.json    what is evaluated on what, by whom: its identity
 *   outputs.jsonl   one line a batch: what the model said and drew, before anybody scored it
 *   images/         what it drew
 *   items.jsonl     one line a scored item
 *   judge/          answers of the judge, so that none is paid for twice
 *   report.json, table.md, table.tex   at the end
 */
import { createHash } from 'node:crypto';
import { mkdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Asked } from '../../data/ask-model';
import type { BenchmarkItem, ScoredItem } from '../../data/benchmark';
import { JsonLines, readImage, savePng } from '../../io';
import { claimFolder } from '../../io/run-identity';
import { RunLock } from '../../io/run-lock';

/** What a model gave for an item; images by name. */
interface StoredOutputs {
  readonly id: string;
  readonly texts: readonly string[];
  readonly images: readonly string[];
  readonly unasked?: string;
}

interface BatchLine {
  readonly benchmark: string;
  readonly items: readonly StoredOutputs[];
}

export interface ItemLine extends ScoredItem {
  readonly benchmark: string;
}

const keyOf = (benchmark: string, id: string) => JSON.stringify([benchmark, id]);

export class EvaluationFolder {
  private readonly outputs = new Map<string, StoredOutputs>();
  private readonly scored = new Map<string, ItemLine>();
  /** Lines are appended one after another. */
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    readonly folder: string,
    private readonly lock: RunLock,
    private readonly batches: JsonLines<BatchLine>,
    private readonly lines: JsonLines<ItemLine>,
  ) {}

  /**
   * @param identity resolved options; a folder belongs to one evaluation
   * @throws RunError when it holds one and `resume` is not asked for, or one with other options; when somebody writes there
   */
  static async open(folder: string, identity: object, resume: boolean): Promise<EvaluationFolder> {
    const lock = await RunLock.take(folder);
    try {
      const [batchFile, itemFile] = ['outputs.jsonl', 'items.jsonl'].map((name) => path.join(folder, name));
      // Where nothing was asked yet, as with a model's name that was mistyped, there is nothing to go on with.
      const asked = await stat(batchFile).catch(() => undefined);
      if (!asked?.size) await rm(path.join(folder, 'options.json'), { force: true });
      await claimFolder(folder, identity, resume);
      const batches = await JsonLines.open<BatchLine>(batchFile);
      const lines = await JsonLines.open<ItemLine>(itemFile);
      const opened = new EvaluationFolder(folder, lock, batches, lines);
      for (const { benchmark, items } of await JsonLines.read<BatchLine>(batchFile))
        for (const item of items) opened.outputs.set(keyOf(benchmark, item.id), item);
      for (const line of await JsonLines.read<ItemLine>(itemFile))
        opened.scored.set(keyOf(line.benchmark, line.id), line);
      return opened;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  scoreOf(benchmark: string, id: string): ItemLine | undefined {
    return this.scored.get(keyOf(benchmark, id));
  }

  hasOutputs(benchmark: string, id: string): boolean {
    return this.outputs.has(keyOf(benchmark, id));
  }

  /** Why the model could not be asked; undefined when it was, or was not yet. */
  unaskedReason(benchmark: string, id: string): string | undefined {
    return this.outputs.get(keyOf(benchmark, id))?.unasked;
  }

  /** What the model gave before. Call it when {@link hasOutputs}. */
  async outputsOf(benchmark: string, id: string): Promise<Asked> {
    const stored = this.outputs.get(keyOf(benchmark, id));
    if (!stored) throw new Error(`${this.folder}: there are no outputs of '${id}'`);
    const images = await Promise.all(stored.images.map((name) => readImage(path.join(this.folder, 'images', name))));
    return { ...stored, images };
  }

  /** Keeps a batch whole or not at all: an evaluation that goes on asks for the same batches as one that was not killed. */
  async keepOutputs(benchmark: string, batch: readonly { readonly item: BenchmarkItem; readonly outputs: Asked }[]) {
    await mkdir(path.join(this.folder, 'images'), { recursive: true });
    const items: StoredOutputs[] = [];
    for (const { item, outputs } of batch) {
      // An id may hold anything; a file's name may not.
      const name = createHash('sha256').update(keyOf(benchmark, item.id)).digest('hex').slice(0, 16);
      const images = outputs.images.map((_, i) => `${name}-${i}.png`);
      for (const [i, image] of outputs.images.entries())
        await savePng(path.join(this.folder, 'images', images[i]), image);
      const { texts, unasked } = outputs;
      items.push({ id: item.id, texts, images, ...(unasked === undefined ? {} : { unasked }) });
    }
    await this.inTurn(() => this.batches.append({ benchmark, items }));
    for (const item of items) this.outputs.set(keyOf(benchmark, item.id), item);
  }

  async keepScore(line: ItemLine): Promise<void> {
    await this.inTurn(() => this.lines.append(line));
    this.scored.set(keyOf(line.benchmark, line.id), line);
  }

  async close(): Promise<void> {
    try {
      await this.writing;
      await this.batches.close();
      await this.lines.close();
    } finally {
      await this.lock.release();
    }
  }

  private inTurn(write: () => Promise<void>): Promise<void> {
    this.writing = this.writing.then(write);
    return this.writing;
  }
}

/** Scored items of an evaluation's folder, by benchmark. @throws Error when it holds none */
export async function readScored(folder: string): Promise<ReadonlyMap<string, readonly ScoredItem[]>> {
  const byBenchmark = new Map<string, ItemLine[]>();
  for (const line of await JsonLines.read<ItemLine>(path.join(folder, 'items.jsonl')))
    byBenchmark.set(line.benchmark, [...(byBenchmark.get(line.benchmark) ?? []), line]);
  if (byBenchmark.size === 0) throw new Error(`${folder} holds no evaluation: items.jsonl is missing or empty`);
  return byBenchmark;
}
