/** COCO captions (Chen et al. 2015, arXiv 1504.00325): five sentences a photograph, `captions_val2014.json` and its like. */
import * as z from 'zod';
import { imageFile, loadItemImage } from './item-images';
import { ItemProblem, type Read, readItems } from './items';
import { readJsonArray } from './text-files';
import { sacrebleu } from '../text/bleu';
import type { Benchmark, BenchmarkItem } from './benchmark';
import { BenchmarkTask } from './benchmark-task';
import { meanColumn } from './columns';

export interface CocoCaption {
  readonly id: string;
  readonly imageId: number;
  /** Absolute path. */
  readonly image: string;
  readonly caption: string;
}

const imageRow = z.object({ id: z.int().min(0), file_name: z.string().min(1) });
const annotation = z.object({ id: z.int().min(0), image_id: z.int().min(0), caption: z.string().trim().min(1) });

/** Reads sentence by sentence; only the names of images are held. @param images folder of the photographs */
export async function* readCocoCaptions(file: string, images: string): AsyncGenerator<Read<CocoCaption>> {
  const names = new Map<number, string>();
  const rows = readItems(readJsonArray(file, 'images'), { schema: imageRow, make: (row) => row });
  for await (const row of rows) {
    if ('error' in row) yield row;
    else if (!names.has(row.item.id)) names.set(row.item.id, row.item.file_name);
  }
  yield* readItems(readJsonArray(file, 'annotations'), {
    schema: annotation,
    make: async ({ id, image_id: imageId, caption }) => {
      const name = names.get(imageId);
      if (name === undefined) throw new ItemProblem(`field 'image_id': there is no image ${imageId} in '${file}'`);
      return { id: String(id), imageId, image: await imageFile(images, name, 'file_name'), caption };
    },
    id: ({ id }) => id,
  });
}

export interface CocoAsk extends BenchmarkItem {
  readonly caption: CocoCaption;
}

/** `bleu`: sacreBLEU of the model's caption against each sentence that people wrote, 0 to 100; one item a sentence. */
export function cocoBenchmark(file: string, images: string): Benchmark<CocoAsk, string> {
  return {
    name: 'coco-captions',
    judges: ['rule'],
    columns: [meanColumn('bleu')],
    async *items() {
      for await (const read of readCocoCaptions(file, images)) {
        if ('error' in read) {
          yield read;
          continue;
        }
        const { id, image, imageId } = read.item;
        const parts = async () => [await loadItemImage(image), 'Describe the image in one sentence.'];
        yield { item: { id, cluster: String(imageId), caption: read.item, ask: { kind: 'answer', parts } } };
      }
    },
    score({ caption }, { texts: [said = ''] }) {
      return Promise.resolve({ scores: { bleu: sacrebleu(said, caption.caption).score }, detail: said });
    },
  };
}

/** COCO's captions as a task. */
export const cocoTask = (file: string, images: string) => new BenchmarkTask(cocoBenchmark(file, images));
