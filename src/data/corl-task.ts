/**
 * What CoRL learns from: examples with a real image, the prompt that describes it, and a question about it with its
 * answer (Sec. 3.2). A stage that refines one ability looks at one half of them.
 */
import path from 'node:path';
import type { Rng } from '../engine';
import { type Image, resizeImage } from '../io';
import type { UnifiedModel } from '../models/unified';
import { readMcotR1, readX2xRft } from './corl-sets';
import { type ItemImage, loadItemImage } from './item-images';
import { collectItems, DataSetError, type Read } from './items';
import {
  type EvaluatedItem,
  type Evaluation,
  evaluationOf,
  type EvaluationOptions,
  type Example,
  type Task,
} from './task';

/** What rewards of answers ask for. */
export interface CorlTruth {
  /** A letter for multiple choice. */
  readonly solution: string;
  /** The question with its options, one a line (`B. a dog`). */
  readonly problem: string;
  readonly form: 'open_ended' | 'multiple_choice';
}

/** The prompt describes the first of the references, which is the real image. */
export interface CorlExample extends Example<CorlTruth> {
  /** What is asked: images and text in order. */
  readonly question: readonly (string | Image)[];
  /** The whole answer, `<think>..</think><answer>..</answer>`: what supervised stages learn. */
  readonly completion: string;
}

export type CorlTask = Task<CorlExample>;

/** Behind every question of the released data. */
export const THINK_FIRST =
  'First output the thinking process in <think> </think> tags and then output the final answer in <answer> </answer> tags.';

export interface CorlFilesOptions {
  /** Side of the images that the model sees, pixels. Default: as they are. */
  readonly size?: number;
  /** Said behind each question. Default {@link THINK_FIRST}. */
  readonly instruction?: string;
  /** `x2x`: x2x_rft_22k or 16k. `mcq`, `open`: mcot_r1, which has no prompts to draw. Default `x2x`. */
  readonly layout?: 'x2x' | 'mcq' | 'open';
  /** Told about an example that cannot be read; the others are there. Default `console.error`. */
  readonly say?: (line: string) => void;
}

/** An example whose image was looked at, not decoded. */
type CorlFileItem = Pick<CorlExample, 'id' | 'prompt' | 'truth' | 'completion'> & { readonly image: ItemImage };

/** Examples of a file in CoRL's layout (`x2x_rft`, `mcot_r1`); an image is decoded when its example is drawn. */
export class CorlFiles implements CorlTask {
  readonly name: string;

  private constructor(
    private readonly items: readonly CorlFileItem[],
    file: string,
    private readonly options: CorlFilesOptions,
  ) {
    this.name = path.basename(file);
  }

  /** @throws DataSetError for a missing file, or one without an example that can be read: it says why */
  static async open(file: string, options: CorlFilesOptions = {}): Promise<CorlFiles> {
    const { layout = 'x2x', say = console.error } = options;
    const { items, errors } = await collectItems(layout === 'x2x' ? x2xItems(file) : mcotItems(file, layout));
    if (items.length === 0)
      throw new DataSetError(`${file} holds no example${errors.length > 0 ? `: ${errors[0].message}` : ''}`, file);
    errors.forEach(({ message }) => say(message));
    return new CorlFiles(items, file, options);
  }

  async sample(rng: Rng): Promise<CorlExample> {
    return this.exampleOf(rng.pick(this.items));
  }

  /**
   * Greedy answers to the questions of examples drawn at random, each once: `accuracy`, 1 where the answer is the
   * solution (case and a final full stop do not count). @param options.count default 64
   */
  async evaluate(model: UnifiedModel, rng: Rng, options: EvaluationOptions = {}): Promise<Evaluation> {
    const { count = 64, batchSize = 32, text } = options;
    const chosen = rng
      .split('items')
      .shuffle([...this.items])
      .slice(0, count);
    const evaluated: EvaluatedItem[] = [];
    for (let from = 0; from < chosen.length; from += batchSize) {
      const examples = await Promise.all(chosen.slice(from, from + batchSize).map((item) => this.exampleOf(item)));
      const requests = examples.map(({ id, question }) => ({
        prompt: model.prompt(question, 'understand'),
        rng: rng.split(id),
      }));
      model.sampleText(requests, { maxNewTokens: 256, ...text, temperature: 0 }).forEach((answer, i) => {
        const { id, references, truth } = examples[i];
        const accuracy = sameText(answerOf(answer.text), truth.solution) ? 1 : 0;
        evaluated.push({ prompt: id, reference: references[0], text: answer.text, scores: { accuracy } });
      });
    }
    return evaluationOf(evaluated);
  }

  private async exampleOf({ image: source, ...item }: CorlFileItem): Promise<CorlExample> {
    const { size, instruction = THINK_FIRST } = this.options;
    const { problem } = item.truth;
    const read = await loadItemImage(source);
    const image = size === undefined ? read : await resizeImage(read, size, size);
    const question = [image, instruction === '' ? problem : `${problem}\n${instruction}`];
    return { ...item, references: [image], question };
  }
}

async function* x2xItems(file: string): AsyncGenerator<Read<CorlFileItem>> {
  for await (const read of readX2xRft(file)) {
    if ('error' in read) yield read;
    else {
      const { id, realImage, prompt, question, answer, questionType } = read.item;
      const form = /^(mc|mcq|multiple)/i.test(questionType) ? 'multiple_choice' : 'open_ended';
      yield { item: itemOf(id, realImage, prompt, question, answer, form) };
    }
  }
}

async function* mcotItems(file: string, layout: 'mcq' | 'open'): AsyncGenerator<Read<CorlFileItem>> {
  const form = layout === 'mcq' ? 'multiple_choice' : 'open_ended';
  for await (const read of readMcotR1(file, layout)) {
    if ('error' in read) yield read;
    else {
      const { id, images, question, answer = '' } = read.item;
      yield { item: itemOf(id, images[0], '', question, answer, form) };
    }
  }
}

function itemOf(
  id: string,
  image: ItemImage,
  prompt: string,
  problem: string,
  answer: string,
  form: CorlTruth['form'],
): CorlFileItem {
  const solution = answerOf(answer);
  const completion = /<think>/.test(answer) ? answer : `<think></think><answer>${solution}</answer>`;
  return { id, image, prompt, truth: { solution, problem, form }, completion };
}

/** What stands in the tags, where there are some. */
const answerOf = (solution: string): string => (/<answer>([^\n]*?)<\/answer>/.exec(solution)?.[1] ?? solution).trim();

const sameText = (a: string, b: string): boolean => bare(a) === bare(b);
const bare = (text: string): string =>
  text
    .trim()
    .toLowerCase()
    .replace(/[.\s]+$/, '');
