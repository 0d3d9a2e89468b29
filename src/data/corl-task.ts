/**
 * What CoRL learns from: examples with a real image, the prompt that describes it, and a question about it with its
 * answer (Sec. 3.2). A stage that refines one ability looks at one half of them.
 */
import path from 'node:path';
import type { Rng } from '../engine';
import { type Image, readImage, resizeImage } from '../io';
import { type CorlRecord, readCorl } from './corl';
import type { Example, Evaluation, EvaluationOptions } from './task';
import type { UnifiedModel } from '../models/unified';

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

export interface CorlTask {
  readonly name: string;
  /** The example depends on the random numbers alone. */
  sample(rng: Rng): CorlExample | Promise<CorlExample>;
  /** The same generator before and after training makes a paired comparison. */
  evaluate?(model: UnifiedModel, rng: Rng, options?: EvaluationOptions): Promise<Evaluation>;
}

/** Behind every question of the released data. */
export const THINK_FIRST =
  'First output the thinking process in <think> </think> tags and then output the final answer in <answer> </answer> tags.';

export interface CorlFilesOptions {
  /** Side of the images that the model sees, pixels. Default: as they are. */
  readonly size?: number;
  /** Said behind each question. Default {@link THINK_FIRST}. */
  readonly instruction?: string;
}

/** Examples of a file in CoRL's layout (`x2x_rft`, `mcot_r1`); an image is read when its example is drawn. */
export class CorlFiles implements CorlTask {
  readonly name: string;

  private constructor(
    private readonly records: readonly CorlRecord[],
    file: string,
    private readonly options: CorlFilesOptions,
  ) {
    this.name = path.basename(file);
  }

  /** @throws Error naming file, line and field; see `readCorl` */
  static open(file: string, options: CorlFilesOptions = {}): CorlFiles {
    const records = readCorl(file);
    if (records.length === 0) throw new Error(`${file} holds no example`);
    return new CorlFiles(records, file, options);
  }

  async sample(rng: Rng): Promise<CorlExample> {
    const { size, instruction = THINK_FIRST } = this.options;
    const record = rng.pick(this.records);
    const { real_image, prompt, qa_problem: problem, qa_solution, qa_type } = record;
    const read = await readImage(real_image);
    const image = size === undefined ? read : await resizeImage(read, size, size);
    const solution = answerOf(qa_solution);
    const completion = /<think>/.test(qa_solution) ? qa_solution : `<think></think><answer>${solution}</answer>`;
    const form = /^(mc|mcq|multiple)/i.test(qa_type) ? 'multiple_choice' : 'open_ended';
    const question = [image, instruction === '' ? problem : `${problem}\n${instruction}`];
    return { id: real_image, prompt, references: [image], truth: { solution, problem, form }, question, completion };
  }
}

/** What stands in the tags, where there are some. */
const answerOf = (solution: string): string => (/<answer>([^\n]*?)<\/answer>/.exec(solution)?.[1] ?? solution).trim();
