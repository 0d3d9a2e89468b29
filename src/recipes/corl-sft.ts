/**
 * CoRL's supervised stage: real images given their prompts, and whole answers given their questions, with the data of
 * reinforcement. As Cold-SFT it goes before (CoRL, Table 3, rows 1 and 6); with a limit of time it is the control, which
 * gets as many seconds as reinforcement had, so that what reinforcement adds is told from more training.
 */
import * as z from 'zod';
import type { CorlExample, CorlTask } from '../data/corl-task';
import { option } from '../io/options';
import type { Rng } from '../engine';
import type { SupervisedExample, UnifiedModel } from '../models/unified';
import { drawnTask, type StepReport, trainSupervised } from '../sft';

export const coldSftOptions = z.strictObject({
  steps: option(z.int().positive(), 1375, 'Optimizer steps, at most.', { paper: 'CoRL, Table 3: an epoch' }),
  seconds: option(z.number().positive().nullable(), null, 'Stops after so many seconds of steps; null: never.'),
  batchSize: option(z.int().positive(), 16, 'Examples a step: an image and an answer each.'),
  images: option(z.boolean(), true, 'Whether images are learned from.'),
  answers: option(z.boolean(), true, 'Whether answers are learned from.'),
  learningRate: option(z.number().positive(), 4e-6, "AdamW's, constant."),
  weightDecay: option(z.number().min(0), 0, "AdamW's."),
  maxGradNorm: option(z.number().positive(), 1, 'Global norm that gradients are clipped to.'),
  cfgDropout: option(z.number().min(0).max(1), 0.1, 'Share of images whose prompt is dropped.'),
  wrongCodes: option(z.number().min(0).max(1), 0, 'Share of images that are learned behind mostly wrong codes.'),
  seed: option(z.int(), 1, 'Of everything that is random.'),
});
export type ColdSftOptions = z.infer<typeof coldSftOptions>;

/** For a model of a few million parameters: a higher learning rate, fewer steps of fewer examples. */
export const coldSftMini = { steps: 150, batchSize: 8, learningRate: 3e-4, wrongCodes: 0.9 } as const;

/**
 * Reports step by step; leave the `for await` between steps at any time.
 * @param folder of the run; one found there is gone on with
 * @throws RangeError when neither images nor answers are learned from
 */
export async function* coldSft(
  { model, task }: { readonly model: UnifiedModel; readonly task: CorlTask },
  options: ColdSftOptions,
  folder?: string,
): AsyncGenerator<StepReport, void> {
  if (!options.images && !options.answers) throw new RangeError('neither images nor answers are to be learned from');
  const { steps, seconds, learningRate, weightDecay, maxGradNorm, seed, cfgDropout, wrongCodes } = options;
  const loop = { steps, learningRate, weightDecay, maxGradNorm, seed, floor: 1, warmupSteps: 0, folder };
  let spent = 0;
  const learning = drawnTask(model, {
    name: 'corl cold SFT',
    draw: (rng) => lessons(task, options, rng),
    settings: { cfgDropout, wrongCodes },
  });
  for await (const report of trainSupervised(learning, loop)) {
    yield report;
    spent += report.seconds;
    if (seconds !== null && spent >= seconds) return;
  }
}

/** What is learned of as many examples as a step has. */
async function lessons(task: CorlTask, options: ColdSftOptions, rng: Rng): Promise<SupervisedExample[]> {
  const examples: CorlExample[] = [];
  for (let i = 0; i < options.batchSize; i++) examples.push(await task.sample(rng.split(`example ${i}`)));
  return examples.flatMap((example) => lessonsOf(example, options));
}

function lessonsOf(example: CorlExample, { images, answers }: ColdSftOptions): SupervisedExample[] {
  const { prompt, references, question, completion } = example;
  return [
    ...(images ? [{ task: 'generate', prompt, image: references[0] } as const] : []),
    ...(answers ? [{ task: 'understand', parts: question, answer: completion } as const] : []),
  ];
}
