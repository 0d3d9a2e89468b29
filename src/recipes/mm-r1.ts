/**
 * MM-R1: images of a subject that a model meets for the first time. It thinks in text and images before it draws (X-CoT):
 * what the subject is, the subject alone, a plan; a cold start shows how, reinforcement makes it good (Sec. 3).
 *
 *   cold start: cross-entropy of (text, image, text, image) after (reference, prompt)                      (Sec. 3.3)
 *   for each prompt G sequences of the model's own; text says itself where an image begins                  (Sec. 3.4)
 *   R = w_f R_format + w_i (1 - DreamSim(reference, result)) + w_t PickScore(prompt, result) / 26
 *   A = (R - mean R) / std R; one clipped step on every token of text and image that was decided; KL to the start
 *
 * Simplified: as published, one prompt a step (`prompts`). A sequence without its second image has no result: the
 * image of the subject alone would score best of all by its likeness.
 */
import * as z from 'zod';
import { sequenceOf, resultOf, type XcotExample, type XcotTask } from '../data/xcot';
import { interleaved, sampleXcot, STRUCTURES } from '../data/xcot-sample';
import { AdamW, Rng } from '../engine';
import type { Run } from '../io';
import { group, option } from '../io/options';
import { adaptationShape } from '../models/adaptation';
import type { Trajectory, UnifiedModel } from '../models/unified';
import {
  columnsOf,
  type Reward,
  type RewardSample,
  type Score,
  scoreTrajectories,
  sequenceFormat,
  weightedSum,
  XCOT_FORMAT,
} from '../rewards';
import {
  checkSpread,
  completionMetrics,
  groupAdvantages,
  rewardMetrics,
  scaleRewardsOption,
  trainStep,
  trainStepShape,
} from '../rl';
import { drawnTask, type LoopOptions, type StepReport, trainSupervised } from '../sft';
import { keepingRefused, loggedSamples } from './samples';

const sec41 = { paper: 'MM-R1, Sec. 4.1' };
const lumina = { paper: 'Lumina-mGPT' };
const ALL_REWARDS = ['format', 'similarity', 'text'] as const;
const nullable = z.int().positive().nullable();

const text = {
  maxNewTokens: option(z.int().positive(), 256, 'Text of a whole sequence, in tokens; a turn, in structure guided.'),
  temperature: option(z.number().min(0), 1, 'Of words.'),
  topK: option(
    nullable,
    null,
    'Likeliest words that are sampled from; null: all, as log-probs are recorded. Lumina: 10.',
  ),
};
const image = {
  guidanceScale: option(z.number().min(0), 4, 's of uncond + s (cond - uncond).', lumina),
  temperature: option(z.number().positive(), 1, 'Of codes.'),
  topK: option(nullable, null, 'Likeliest codes that are sampled from; null: all. Lumina: 2000.'),
  imageLogProbs: option(z.enum(['guided', 'conditional']), 'guided', 'Whose log-probs are recorded and replayed.'),
};
const coldStart = {
  steps: option(z.int().min(0), 16000, 'Supervised steps on X-CoT; 0: none (w/o X-CoT).', sec41),
  batch: option(z.int().positive(), 8, 'Sequences a step.'),
  learningRate: option(z.number().positive(), 2e-5, 'Peak, after a warm-up; then a cosine.'),
  cfgDropout: option(z.number().min(0).max(1), 0.1, 'Share of sequences of which the last image is learned alone.'),
  wrongCodes: option(z.number().min(0).max(1), 0, 'Share of images that are learned behind mostly wrong codes.'),
};

/** Defaults are the paper's, and where it prints none, Lumina-mGPT's. */
export const mmR1Options = z.strictObject({
  steps: option(z.int().min(0), 500, 'Steps of reinforcement learning; 0: none (w/o GRPO).', sec41),
  groupSize: option(z.int().min(2), 8, 'G: sequences a prompt.'),
  prompts: option(z.int().positive(), 1, 'Prompts a step.'),
  seed: option(z.int(), 1, 'Of everything that is random.'),
  structure: option(
    z.enum(STRUCTURES),
    'free',
    'free: one sequence; guided: by turns (Reasoning); direct: no thought (Base).',
    {
      paper: 'Table 3',
    },
  ),
  rewards: option(z.array(z.enum(ALL_REWARDS)).min(1), [...ALL_REWARDS], 'R_f, R_i, R_t: those that are summed.', {
    paper: 'Table 2',
  }),
  weights: group(
    Object.fromEntries(ALL_REWARDS.map((name) => [name, option(z.number(), 1, `Of the ${name} reward.`)])) as Record<
      (typeof ALL_REWARDS)[number],
      z.ZodDefault<z.ZodNumber>
    >,
    'Weights of the rewards; not printed.',
  ),
  format: option(z.string(), XCOT_FORMAT, 'What a sequence must be: <text> for words, <|image|> for an image.', {
    paper: 'Sec. 3.4',
  }),
  controlSteps: option(z.int().min(0), 0, 'Further supervised steps after the cold start: the control of equal time.'),
  controlRecords: option(
    z.enum(['cold-start', 'reinforcement']),
    'cold-start',
    "Whose records the control learns: the cold start's, or targets of the subjects that reinforcement has none of.",
  ),
  scaleRewards: scaleRewardsOption,
  ...adaptationShape,
  ...trainStepShape,
  beta: option(z.number().min(0), 0.01, 'Weight of the KL penalty (k3).'),
  weightDecay: option(z.number().min(0), 0.01, "AdamW's."),
  coldStart: group(coldStart, 'The supervised stage.'),
  text: group(text, 'Thinking in words.'),
  image: group(image, 'Drawing, on the way and at the end.'),
});
export type MmR1Options = z.infer<typeof mmR1Options>;

/**
 * For a model of a few million parameters on two CPU cores: shorter, at learning rates for a model a thousand times
 * smaller. The checkpoint that it starts from has had its cold start (`data/checkpoints/chameleon-mini-xcot`).
 */
export const mmR1Mini = {
  steps: 40,
  prompts: 8,
  learningRate: 5e-5,
  beta: 0,
  weightDecay: 0,
  coldStart: { steps: 0, batch: 8, learningRate: 5e-4, wrongCodes: 0.7 },
  text: { maxNewTokens: 40 },
  image: { guidanceScale: 1 },
} as const;

/** The rows of Tables 2 and 3, each as what it changes, the control, and one that has targets where reinforcement has none. */
export const mmR1Variants = {
  full: {},
  control: { steps: 0 },
  'control-targets': { steps: 0, controlRecords: 'reinforcement' },
  base: { steps: 0, coldStart: { steps: 0 }, structure: 'direct' },
  reasoning: { steps: 0, coldStart: { steps: 0 }, structure: 'guided' },
  'without-grpo': { steps: 0 },
  'without-xcot': { coldStart: { steps: 0 }, structure: 'guided', format: '.*' },
  format: { rewards: ['format'] },
  'format+similarity': { rewards: ['format', 'similarity'] },
  'format+text': { rewards: ['format', 'text'] },
} as const satisfies Record<string, object>;

export interface MmR1Setup<Truth = unknown> {
  /** An {@link InterleavedModel} for structure `free` and the cold start. */
  readonly model: UnifiedModel;
  readonly task: XcotTask<Truth>;
  /** R_i and R_t. */
  readonly rewards: Readonly<Record<'similarity' | 'text', Reward<Truth>>>;
  readonly run?: Run;
}

export interface MmR1Step {
  /** From 1. */
  readonly step: number;
  /** One a sample; those of a group are the same object. */
  readonly examples: readonly XcotExample[];
  readonly samples: readonly Trajectory[];
  /** R and its parts, sample by sample. */
  readonly scores: readonly Score[];
  readonly advantages: readonly number[];
  /** TRL's names where TRL has one. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Seconds. */
  readonly timings: Readonly<Record<'rollout' | 'score' | 'update', number>>;
}

/** Supervised steps on X-CoT: the cold start, or the control in its place behind it. With a folder it can be gone on with. */
export function supervise(
  { model, task }: Pick<MmR1Setup, 'model' | 'task'>,
  options: MmR1Options,
  stage: 'cold-start' | 'control',
  folder?: string,
): AsyncGenerator<StepReport, void> {
  const { coldStart, controlSteps, controlRecords, weightDecay, seed } = options;
  const { steps, batch, learningRate, cfgDropout, wrongCodes } = coldStart;
  const isControl = stage === 'control';
  const of = isControl ? controlRecords : 'cold-start';
  const learning = drawnTask(interleaved(model), {
    name: `mm-r1-${stage}`,
    draw: async (rng) => {
      const records = await Promise.all(Array.from({ length: batch }, async (_, i) => task.record(rng.split(i), of)));
      return records.map(sequenceOf);
    },
    settings: { cfgDropout, wrongCodes },
  });
  const loop: LoopOptions = { steps: isControl ? controlSteps : steps, learningRate, weightDecay, seed, folder };
  return trainSupervised(learning, loop);
}

/** Leave the `for await` between steps at any time. With a run, the same call goes on from there, bit for bit. */
export async function* mmR1<Truth>(
  setup: MmR1Setup<Truth>,
  options: MmR1Options,
): AsyncGenerator<MmR1Step, void, undefined> {
  const { model, task, run } = setup;
  const { learningRate, weightDecay, groupSize, structure } = options;
  const follows = options.refModelSyncSteps !== null;
  const reference = options.beta > 0 ? model.frozenCopy('F32', follows) : undefined; // of the weights that the cold start left
  const optimizer = new AdamW({ learningRate, weightDecay });
  const state = { step: 0, flatGroups: 0 };
  const parts = { model, optimizer, reference: follows ? reference : undefined };
  try {
    await run?.restore(state, parts);
    while (state.step < options.steps) {
      const rng = new Rng(options.seed).split('mm-r1').split(state.step);
      const clock = [performance.now()];
      const prompts: XcotExample<Truth>[] = [];
      for (let p = 0; p < options.prompts; p++) prompts.push(await task.sample(rng.split(`example ${p}`)));
      const requests = prompts.flatMap((example, p) =>
        Array.from({ length: groupSize }, (_, i) => ({ example, rng: rng.split(`sample ${p}`).split(i) })),
      );
      const samples = await sampleXcot(model, requests, { structure, ...samplingOf(options) });
      clock.push(performance.now());
      const examples = requests.map(({ example }) => example);
      const scores = await score(setup, examples, samples, options);
      const groups = prompts.map((_, p) => scores.slice(p * groupSize, (p + 1) * groupSize).map(({ value }) => value));
      const { advantages } = groupAdvantages('grpo', groups, options);
      const logged = run && (await loggedSamples(model.imageTokenizer, samples, scores));
      clock.push(performance.now());
      const update = await keepingRefused(run, state.step + 1, logged, () => {
        checkSpread(state, groups, options.selfChecks);
        return trainStep(model, reference, samples, advantages, optimizer, options);
      });
      clock.push(performance.now());
      state.step++;
      const sampled = { ...rewardMetrics(groups, columnsOf(scores)), ...completionMetrics(samples) };
      const metrics = { ...sampled, ...update };
      const [rollout, scored, updated] = clock.slice(1).map((time, i) => (time - clock[i]) / 1000);
      const timings = { rollout, score: scored, update: updated };
      await run?.log({ step: state.step, metrics, timings, samples: logged });
      await run?.save(state, parts);
      yield { step: state.step, examples, samples, scores, advantages, metrics, timings };
    }
  } finally {
    reference?.dispose();
    optimizer.dispose();
  }
}

/** The options of sampling, `null` being no limit. */
export function samplingOf({ text: { topK: words, ...said }, image: { topK: codes, ...drawn } }: MmR1Options) {
  return { text: { ...said, topK: words ?? undefined }, image: { ...drawn, topK: codes ?? undefined } };
}

/** R of each sample; one without a result is scored by its form alone. */
function score<Truth>(
  { model, rewards }: MmR1Setup<Truth>,
  examples: readonly XcotExample<Truth>[],
  samples: readonly Trajectory[],
  { rewards: names, weights, format, structure }: MmR1Options,
): Promise<readonly Score[]> {
  const own: Record<(typeof ALL_REWARDS)[number], Reward<Truth>> = { format: sequenceFormat(format), ...rewards };
  const summed = names.map((name) => ({ reward: own[name], weight: weights[name] }));
  // R_i compares with the image that was shown; an example may have more of its subject.
  const sampled = samples.map((trajectory, i) => ({
    example: { ...examples[i], references: [examples[i].references[0]] },
    trajectory,
  }));
  return scoreTrajectories<Truth>(model.imageTokenizer, sampled, (seen) => {
    const results = seen.map((sample, i): RewardSample<Truth> =>
      resultOf(samples[i], structure) ? sample : { ...sample, image: undefined },
    );
    return weightedSum(summed, results);
  });
}
