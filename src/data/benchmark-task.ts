/** A benchmark as a task: its items are examples, and its own scores are the evaluation. */
import type { Rng } from '../engine';
import type { Image } from '../io';
import type { UnifiedModel } from '../models/unified';
import { askModel } from './ask-model';
import type { Protocol } from './protocol';
import { type Benchmark, type BenchmarkItem, goodItems } from './benchmark';
import { DataSetError } from './items';
import { type EvaluatedItem, type Evaluation, type EvaluationOptions, type Example, type Task } from './task';

/** An item as an example: what to draw stands in `prompt`, what to answer in `question`. */
export interface BenchmarkExample<I extends BenchmarkItem = BenchmarkItem> extends Example<I> {
  /** Empty for a prompt of an image. */
  readonly question: readonly (string | Image)[];
}

export class BenchmarkTask<I extends BenchmarkItem, D = unknown> implements Task<BenchmarkExample<I>> {
  readonly name: string;
  private kept?: Promise<readonly I[]>;
  private count?: number;

  /** @param protocol of its evaluation; options of a call come before it */
  constructor(
    readonly benchmark: Benchmark<I, D>,
    private readonly protocol: Protocol = {},
  ) {
    this.name = benchmark.name;
  }

  /** Any item with equal probability. @throws DataSetError when there is none */
  async sample(rng: Rng): Promise<BenchmarkExample<I>> {
    const item = await this.itemAt(rng);
    const { ask, id } = item;
    if (ask.kind === 'answer') {
      const question = await ask.parts();
      const text = question.filter((part) => typeof part === 'string').join(' ');
      const references = question.filter((part): part is Image => typeof part !== 'string');
      return { id, prompt: text, question, references, truth: item };
    }
    return { id, prompt: ask.prompt, question: [], references: (await ask.references?.()) ?? [], truth: item };
  }

  /**
   * Every item that the model can be asked and somebody can score, or those of the first `count`; metrics are the benchmark's columns, NaN for
   * those that lack items.
   */
  async evaluate(model: UnifiedModel, rng: Rng, options: EvaluationOptions = {}): Promise<Evaluation> {
    const { count = Infinity, batchSize = 32, text, image } = options;
    const protocol = { ...this.protocol, ...(text && { text }), ...(image && { image }) };
    const scored: { id: string; cluster: string; scores: Readonly<Record<string, number>>; detail: D }[] = [];
    const evaluated: EvaluatedItem[] = [];
    const flush = async (items: readonly I[]) => {
      const outputs = await askModel(model, items, protocol, rng);
      for (const [i, item] of items.entries()) {
        if (outputs[i].unasked !== undefined) continue;
        const { scores, detail } = await this.benchmark.score(item, outputs[i]);
        const cluster = item.cluster ?? item.id;
        scored.push({ id: item.id, cluster, scores, detail });
        const { texts, images } = outputs[i];
        evaluated.push({ prompt: item.id, cluster, text: texts.join('\n'), image: images[0], scores });
      }
    };
    let batch: I[] = [];
    for await (const item of goodItems(this.benchmark, count)) {
      if (this.benchmark.unscorable?.(item) !== undefined) continue;
      if (batch.push(item) < batchSize) continue;
      await flush(batch);
      batch = [];
    }
    if (batch.length > 0) await flush(batch);
    const metrics = Object.fromEntries(this.benchmark.columns.map((column) => [column.name, column.value(scored)]));
    return { metrics, items: evaluated };
  }

  private async itemAt(rng: Rng): Promise<I> {
    if (!this.benchmark.holdsImages) {
      const items = await (this.kept ??= all(goodItems(this.benchmark)));
      if (items.length > 0) return rng.pick(items);
    } else {
      this.count ??= await countOf(goodItems(this.benchmark));
      // Read again up to the item: bytes of images are too many to be kept.
      let left = this.count > 0 ? rng.int(this.count) : 0;
      for await (const item of goodItems(this.benchmark)) if (left-- === 0) return item;
    }
    throw new DataSetError(`${this.name} holds no item that can be read`);
  }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of items) out.push(item);
  return out;
}

async function countOf(items: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const item of items) count += item === undefined ? 0 : 1;
  return count;
}
