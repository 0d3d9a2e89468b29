/**
 * What a personalization method is compared with (UniCTokens-R1, Tables 1 and 5; MM-R1, Table 1), on any backbone:
 *
 *   text-prompt         the subject in words, in every prompt; nothing learns (TP)
 *   image-prompt        a reference image before every prompt; nothing learns (IP). Not every backbone draws from images
 *   textual-inversion   one new word, whose row alone learns from captions of the references (Gal et al. 2022)
 *   dreambooth          the whole model learns from the captions, beside images of the class that it drew itself before,
 *                       so that it does not forget the class (Ruiz et al. 2023)
 *   supervised          the subject's tokens in the two stages of UniCTokens, and no reinforcement
 *
 * Simplified: DreamBooth's rare word is a new one, which starts as the class' word.
 */
import * as z from 'zod';
import type { PersonalizationTask, Subject } from '../data/personalization';
import type { Evaluation, EvaluationOptions } from '../data/task';
import { Rng } from '../engine';
import type { Image } from '../io';
import { group, option } from '../io/options';
import type { PersonalizableModel, Prompt, SupervisedExample, UnifiedModel } from '../models/unified';
import { conceptShape, drawnTask, learnConceptTokens, type StepReport, trainSupervised } from '../sft';

export const BASELINES = ['text-prompt', 'image-prompt', 'textual-inversion', 'dreambooth', 'supervised'] as const;
export type BaselineName = (typeof BASELINES)[number];

const gal = { paper: 'Gal et al. 2022, Sec. 4' };
const ruiz = { paper: 'Ruiz et al. 2023, Sec. 4' };

/** Defaults are the papers', of models a thousand times larger. */
export const baselineOptions = z.strictObject({
  seed: option(z.int(), 1, 'Of everything that is random.'),
  inversion: group(
    {
      steps: option(z.int().positive(), 5000, 'Optimizer steps.', gal),
      batch: option(z.int().positive(), 8, 'Captions a step.', gal),
      learningRate: option(z.number().positive(), 0.005, "Of the new word's row.", gal),
    },
    'Textual inversion.',
  ),
  dreambooth: group(
    {
      steps: option(z.int().positive(), 1000, 'Optimizer steps.', ruiz),
      batch: option(z.int().positive(), 1, 'Captions a step, and as many images of the class.', ruiz),
      learningRate: option(z.number().positive(), 1e-5, 'Of the whole model.', ruiz),
      classImages: option(z.int().min(0), 200, 'Drawn of the class before; 0: none, and it may be forgotten.', ruiz),
    },
    'DreamBooth-style tuning.',
  ),
  image: group(
    {
      steps: option(z.int().positive(), 50, 'Masked decoding steps, where the backbone has such.'),
      guidanceScale: option(z.number(), 6, 's of uncond + s (cond - uncond).'),
    },
    'Images of the class.',
  ),
  subject: group(conceptShape, "The subject's tokens, of `supervised`."),
});
export type BaselineOptions = z.infer<typeof baselineOptions>;

/** For a model of a few million parameters on two CPU cores. */
export const baselineMini = {
  inversion: { steps: 200, learningRate: 1e-2 },
  dreambooth: { steps: 100, batch: 4, learningRate: 1e-4, classImages: 32 },
  image: { steps: 8, guidanceScale: 3 },
  subject: { understanding: 4, generation: 2, steps: 100, learningRate: 1e-2, generationBatch: 6 },
} as const;

export interface BaselineSetup {
  readonly model: UnifiedModel;
  readonly task: PersonalizationTask;
  /** The subject in words, of `text-prompt`: "a white dog with brown ears". Default: words for its class. */
  readonly description?: string;
}

export class Baseline {
  private constructor(
    readonly name: BaselineName,
    /** What is asked: the model itself, or the model behind a prompt that is put together for it. */
    readonly model: UnifiedModel,
    private readonly setup: BaselineSetup,
    private readonly options: BaselineOptions,
    private readonly inClassWords: (text: string) => string,
  ) {}

  /**
   * @param setup whose model must not have a subject's tokens; a method that learns changes it
   * @throws Error for a method that learns a word, of a model that cannot be given one
   */
  static async open(name: BaselineName, setup: BaselineSetup, options: BaselineOptions): Promise<Baseline> {
    const { model, task, description } = setup;
    const example = await task.sample(new Rng(options.seed));
    const inClassWords = (text: string) => example.inClassWords(text);
    const [reference] = task.subject.references;
    const rewrites: Partial<Record<BaselineName, (parts: Parts) => Parts>> = {
      'text-prompt': (parts) =>
        parts.map((part) =>
          inWords(part, (text) => (description ? text.replaceAll('<sks>', description) : inClassWords(text))),
        ),
      'image-prompt': (parts) => withReference(parts, reference.image, inClassWords),
    };
    const rewrite = rewrites[name];
    if (!rewrite && !isPersonalizable(model))
      throw new Error(`${name} needs a new word, and ${model.modelType} cannot be given one`);
    return new Baseline(name, rewrite ? prompted(model, rewrite) : model, setup, options, inClassWords);
  }

  /** Learns, step by step; nothing for those that only prompt. */
  async *steps(): AsyncGenerator<StepReport, void> {
    const { name, options } = this;
    if (name === 'text-prompt' || name === 'image-prompt') return;
    const { seed } = options;
    const { subject } = this.setup.task;
    const model = this.setup.model as PersonalizableModel;
    const classImages = name === 'dreambooth' ? this.imagesOfClass() : []; // before the model changes
    const { steps, understanding, generation, ...stages } = options.subject;
    const tokens = name === 'supervised' ? { understanding, generation } : { understanding: 0, generation: 0 };
    const rows = model.addConceptTokens({ initializer: subject.className, ...tokens }, new Rng(seed).split('subject'));
    if (name === 'supervised') {
      yield* learnConceptTokens(model, rows, subject.references, { ...stages, steps: steps ?? undefined, seed });
      return;
    }
    const { batch, ...loop } = name === 'dreambooth' ? options.dreambooth : options.inversion;
    const captions = captionsOf(model, subject);
    const draw = (rng: Rng) => [
      ...picked(captions, batch, rng.split('subject')),
      ...(classImages.length > 0 ? picked(classImages, batch, rng.split('class')) : []),
    ];
    const learning = name === 'dreambooth' ? undefined : [rows.embed];
    const { steps: count, learningRate } = loop;
    yield* trainSupervised(drawnTask(model, { name, learning, draw }), {
      steps: count,
      learningRate,
      seed,
      weightDecay: 0,
    });
  }

  /** Held-out prompts, as the task asks them of any method. */
  evaluate(options: EvaluationOptions = {}): Promise<Evaluation> {
    return this.setup.task.evaluate(this.model, new Rng(this.options.seed).split('evaluation'), options);
  }

  /** Prior preservation: what the model draws of the class before it learns. */
  private imagesOfClass(): SupervisedExample[] {
    const { model, task } = this.setup;
    const { classImages: count } = this.options.dreambooth;
    if (count === 0) return [];
    const { references } = task.subject;
    const captions = Array.from({ length: count }, (_, i) =>
      this.inClassWords(references[i % references.length].caption),
    );
    const rng = new Rng(this.options.seed).split('class');
    const requests = captions.map((caption, i) => ({ prompt: model.prompt([caption], 'generate'), rng: rng.split(i) }));
    const drawn = model.imageSampler(requests, this.options.image).finish();
    return drawn.map(({ codes, grid }, i) => ({ task: 'generate', prompt: captions[i], image: { codes, grid } }));
  }
}

const isPersonalizable = (model: UnifiedModel): model is PersonalizableModel => 'addConceptTokens' in model;
const picked = (from: readonly SupervisedExample[], count: number, rng: Rng) =>
  Array.from({ length: count }, () => rng.pick(from));

function captionsOf(model: UnifiedModel, { references }: Subject): SupervisedExample[] {
  const { grid } = model.imageTokenizer;
  const codes = model.imageTokenizer.encode(references.map(({ image }) => image));
  return references.map(({ caption }, i) => ({ task: 'generate', prompt: caption, image: { codes: codes[i], grid } }));
}

type Parts = readonly (string | Image)[];

const inWords = (part: string | Image, words: (text: string) => string) =>
  typeof part === 'string' ? words(part) : part;

/** A reference before texts that name the subject; a question that shows an image already is asked as it is. */
function withReference(parts: Parts, reference: Image, words: (text: string) => string): Parts {
  const named = parts.some((part) => typeof part === 'string' && part.includes('<sks>'));
  const said = parts.map((part) => inWords(part, words));
  return !named || parts.some((part) => typeof part !== 'string') ? said : [reference, ...said];
}

/** The same model, which is asked what `rewrite` makes of a prompt. */
function prompted(model: UnifiedModel, rewrite: (parts: Parts) => Parts): UnifiedModel {
  const prompt = (parts: Parts, task: Prompt['task']) => model.prompt(rewrite(parts), task);
  return new Proxy(model, {
    get: (target, name) => {
      if (name === 'prompt') return prompt;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}
