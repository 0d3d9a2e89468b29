/**
 * CoRL (ULM-R1): one model draws and answers, and learns both from one reward. A run is one stage of it; the two stages,
 * the merge and the controls are in `corl-run`.
 *
 *   each example: a prompt with its real image, and a question about it with its answer                      (Sec. 3.2)
 *   G pairs (image, <think>..</think><answer>..</answer>)                                                  (Sec. 3.3.2)
 *   R = R_cycle + R_TIM + lambda (R_acc + R_format)                                                           (Eq. 3-5)
 *   A = (R - mean R) / std R; one step on the tokens of both, -A ratio (- beta KL when refining)           (Eq. 1, 2, 6)
 *
 * Refining samples images alone, or answers alone, and keeps the terms of R that they have (Sec. 3.3.3). Simplified: the
 * learning rate stays; an image and an answer of one member are scored together, and belong to no common context.
 */
import * as z from 'zod';
import type { CorlExample, CorlTask, CorlTruth } from '../data/corl-task';
import { AdamW, Rng } from '../engine';
import type { Run } from '../io';
import { group, nameIn, option } from '../io/options';
import { adaptationShape } from '../models/adaptation';
import type { ImageSegment, SampleRequest, TextSegment, Trajectory, UnifiedModel } from '../models/unified';
import { columnsOf, type Reward, type Score, scoreTrajectories, type WeightedReward, weightedSum } from '../rewards';
import {
  type Advantages,
  checkSpread,
  completionMetrics,
  groupAdvantages,
  importanceSamplingLevels,
  rewardMetrics,
  scaleRewardsOption,
  surrogates,
  trainStep,
  trainStepShape,
} from '../rl';
import { keepingRefused, loggedSamples } from './samples';

const table5 = { paper: 'CoRL, Table 5' };
const text = {
  maxNewTokens: option(z.int().positive(), 512, 'Longest answer, in tokens.', table5),
  temperature: option(z.number().positive(), 1, 'Of words.'),
};
const image = {
  guidanceScale: option(z.number(), 5, 's of uncond + s (cond - uncond).', { paper: 'CoRL, Sec. 4.1' }),
  temperature: option(z.number().positive(), 1, 'Of codes.'),
  imageLogProbs: option(z.enum(['guided', 'conditional']), 'conditional', 'Whose log-probs are recorded and replayed.'),
};
const weights = {
  cycle: option(z.number().min(0), 1, 'Of R_cycle; 0 is an ablation.', { paper: 'CoRL, Eq. 5 and Table 4' }),
  tim: option(z.number().min(0), 1, 'Of R_TIM; 0 is an ablation.', { paper: 'CoRL, Eq. 5 and Table 4' }),
  lambda: option(z.number().min(0), 0.8, 'Of R_acc and of R_format.', { paper: 'CoRL, Eq. 5' }),
};

/** Where the paper's values differ from the training core's. */
const paperShape = {
  learningRate: option(z.number().min(0).max(10), 4e-6, "AdamW's.", table5),
  surrogate: option(nameIn(surrogates), 'none', 'The objective of a token: the ratio unclipped, as printed.', {
    paper: 'CoRL, Eq. 2 and 6',
  }),
  importanceSamplingLevel: option(
    nameIn(importanceSamplingLevels),
    'token',
    'What a ratio is of. The equations print one of a whole output (sequence); the released code has one a token.',
    { paper: 'CoRL, Eq. 2 and 6' },
  ),
};

/** Defaults are those of the paper's unified stage; the other stages' differences are {@link corlStages}. */
export const corlOptions = z.strictObject({
  outputs: option(
    z.enum(['both', 'image', 'text', 'alternate']),
    'both',
    'What a step samples and learns from; alternate: images and answers in turn (cycle RL).',
    { paper: 'CoRL, Sec. 3.2 and 3.3' },
  ),
  alternateEvery: option(z.int().positive(), 1, 'Steps of one kind in a row, with outputs=alternate.'),
  steps: option(z.int().positive(), 1375, 'Steps: an epoch of 22K examples.', table5),
  groupSize: option(z.int().min(2), 8, 'G: members of a group.', table5),
  batchSize: option(z.int().positive(), 16, 'Groups of a step.', table5),
  seed: option(z.int(), 1, 'Of everything that is random.'),
  advantages: option(
    z.enum(['joint', 'separate']),
    'joint',
    'Of the sum of all rewards for both outputs, or of each output by its own rewards.',
    { paper: 'CoRL, Eq. 5-6: joint' },
  ),
  scaleRewards: scaleRewardsOption,
  ...adaptationShape,
  ...trainStepShape,
  ...paperShape,
  weightDecay: option(z.number().min(0), 0, "AdamW's."),
  weights: group(weights, 'Weights of the rewards.'),
  text: group(text, 'Answering.'),
  image: group(image, 'Drawing.'),
  rows: option(z.int().positive(), 32, 'Members sampled together: memory and speed alone.'),
});
export type CorlOptions = z.infer<typeof corlOptions>;

const refined = { learningRate: 1e-6, beta: 0.02, groupSize: 16 } as const;
/** The paper's stages, as differences from the unified one (Table 5). */
export const corlStages = {
  unified: {},
  t2i: { ...refined, outputs: 'image', batchSize: 16, steps: 1000 },
  mcq: { ...refined, outputs: 'text', batchSize: 32, steps: 2063, weights: { lambda: 1 } },
  open: { ...refined, outputs: 'text', batchSize: 32, steps: 2063, weights: { lambda: 1 } },
} as const;
export type CorlStage = keyof typeof corlStages;

/**
 * For a model of a few million parameters on two CPU cores, in every stage. Each line is a difference from the paper: a
 * higher learning rate for a model a thousand times smaller; few groups a step, of eight members; answers of a few
 * words; the guidance that its images are best with, and log-probs under it, which are those that codes are drawn by;
 * advantages are not divided by a group's spread, which is next to nothing where all members are right.
 */
export const corlMini = {
  steps: 30,
  learningRate: 5e-5,
  groupSize: 8,
  batchSize: 4,
  scaleRewards: 'none',
  text: { maxNewTokens: 24 },
  image: { guidanceScale: 3, imageLogProbs: 'guided' },
} as const;

/** Unified reinforcement as it is, and rows of the paper's ablations as what they change. */
export const corlVariants = {
  full: {},
  control: {},
  cycle: { weights: { tim: 0 } },
  tim: { weights: { cycle: 0 } },
  'separate-advantages': { advantages: 'separate' },
} as const satisfies Record<string, object>;

/** R_cycle, R_TIM; R_acc, R_format. */
export interface CorlRewards {
  readonly cycle: Reward<CorlTruth>;
  readonly tim: Reward<CorlTruth>;
  readonly accuracy: Reward<CorlTruth>;
  readonly format: Reward<CorlTruth>;
}

export interface CorlSetup {
  readonly model: UnifiedModel;
  readonly task: CorlTask;
  readonly rewards: CorlRewards;
  readonly run?: Run;
}

/** A member of a group. */
export interface CorlSample extends Trajectory {
  readonly example: CorlExample;
  readonly image?: ImageSegment;
  readonly answer?: TextSegment;
}

export interface CorlStep {
  /** From 1. */
  readonly step: number;
  /** One a group. */
  readonly examples: readonly CorlExample[];
  /** Group after group. */
  readonly samples: readonly CorlSample[];
  /** R and its parts, sample by sample. */
  readonly scores: readonly Score[];
  readonly advantages: Advantages;
  /** TRL's names where TRL has one. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Seconds. */
  readonly timings: Readonly<Record<'rollout' | 'score' | 'update', number>>;
}

/** Leave the `for await` between steps at any time. With a run, the same call goes on from there, bit for bit. */
export async function* corl(setup: CorlSetup, options: CorlOptions): AsyncGenerator<CorlStep, void, undefined> {
  const { model, task, run } = setup;
  const { learningRate, weightDecay, groupSize } = options;
  const follows = options.refModelSyncSteps !== null;
  const reference = options.beta > 0 ? model.frozenCopy('F32', follows) : undefined; // of the weights that a run starts from
  const optimizer = new AdamW({ learningRate, weightDecay });
  const state = { step: 0, flatGroups: 0 };
  const parts = { model, optimizer, reference: follows ? reference : undefined };
  try {
    await run?.restore(state, parts);
    while (state.step < options.steps) {
      const rng = new Rng(options.seed).split('corl').split(state.step);
      const clock = [performance.now()];
      const examples: CorlExample[] = [];
      for (let i = 0; i < options.batchSize; i++) examples.push(await task.sample(rng.split(`example ${i}`)));
      const samples = rollOut(model, examples, outputsOf(options, state.step), options, rng);
      clock.push(performance.now());
      const scored = await score(setup, samples, options);
      const { scores } = scored;
      const groups = grouped(scores, groupSize);
      const advantages = advantagesOf(scored, options);
      const shown = samples.map((sample) => ({ ...sample, compoundPrompt: sample.example.prompt }));
      const logged = run && (await loggedSamples(model.imageTokenizer, shown.slice(0, 2 * groupSize), scores));
      clock.push(performance.now());
      const update = await keepingRefused(run, state.step + 1, logged, () => {
        checkSpread(state, groups, options.selfChecks);
        return trainStep(model, reference, samples, advantages, optimizer, options);
      });
      clock.push(performance.now());
      state.step++;
      const metrics = { ...rewardMetrics(groups, columnsOf(scores)), ...completionMetrics(samples), ...update };
      const [rollout, scoring, updated] = clock.slice(1).map((time, i) => (time - clock[i]) / 1000);
      const timings = { rollout, score: scoring, update: updated };
      await run?.log({ step: state.step, metrics, timings, samples: logged });
      await run?.save(state, parts);
      yield { step: state.step, examples, samples, scores, advantages, metrics, timings };
    }
  } finally {
    reference?.dispose();
    optimizer.dispose();
  }
}

/** What a step samples. @param step from 0 */
function outputsOf({ outputs, alternateEvery }: CorlOptions, step: number): 'both' | 'image' | 'text' {
  if (outputs !== 'alternate') return outputs;
  return Math.floor(step / alternateEvery) % 2 === 0 ? 'image' : 'text';
}

/** G members of each example, group after group. Every member draws from numbers of its own. */
function rollOut(
  model: UnifiedModel,
  examples: readonly CorlExample[],
  outputs: 'both' | 'image' | 'text',
  options: CorlOptions,
  rng: Rng,
): CorlSample[] {
  const members = examples.flatMap((example, e) => {
    const drawn = outputs === 'text' ? undefined : model.prompt([example.prompt], 'generate');
    const asked = outputs === 'image' ? undefined : model.prompt(example.question, 'understand');
    return Array.from({ length: options.groupSize }, (_, i) => {
      const own = rng.split(`group ${e}`).split(i);
      const request = (prompt: SampleRequest['prompt'] | undefined, name: string) =>
        prompt && { prompt, rng: own.split(name) };
      return { example, drawn: request(drawn, 'image'), asked: request(asked, 'answer') };
    });
  });
  const samples: CorlSample[] = [];
  for (let from = 0; from < members.length; from += options.rows) {
    const part = members.slice(from, from + options.rows);
    const questions = present(part.map(({ asked }) => asked));
    const answers = questions.length > 0 ? model.sampleText(questions, options.text) : [];
    const requests = present(part.map(({ drawn }) => drawn));
    const images = requests.length > 0 ? model.imageSampler(requests, options.image).finish() : [];
    part.forEach(({ example }, i) => {
      const [answer, image]: [TextSegment | undefined, ImageSegment | undefined] = [answers[i], images[i]];
      samples.push({ segments: present<TextSegment | ImageSegment>([answer, image]), example, answer, image });
    });
  }
  return samples;
}

const present = <V>(values: readonly (V | undefined)[]): V[] => values.filter((value) => value !== undefined);

interface Scored {
  readonly scores: readonly Score[];
  readonly images: readonly Score[];
  readonly answers: readonly Score[];
}

const NOTHING: Score = { value: NaN };

/** R, and what images and answers have of it. What one reward could not score is left out of its sample's sum. */
async function score(
  { model, rewards: { cycle, tim, accuracy, format } }: CorlSetup,
  samples: readonly CorlSample[],
  { weights: { cycle: ofCycle, tim: ofTim, lambda } }: CorlOptions,
): Promise<Scored> {
  const ofImages = weighted({ reward: cycle, weight: ofCycle }, { reward: tim, weight: ofTim });
  const ofAnswers = weighted({ reward: accuracy, weight: lambda }, { reward: format, weight: lambda });
  const none = samples.map(() => NOTHING);
  const [{ image, answer }] = samples;
  const sampled = samples.map((trajectory) => ({ example: trajectory.example, trajectory }));
  const found = { images: none as readonly Score[], answers: none as readonly Score[] };
  await scoreTrajectories(model.imageTokenizer, sampled, async (seen) => {
    if (image && ofImages.length > 0) found.images = await weightedSum(ofImages, seen);
    if (answer && ofAnswers.length > 0) found.answers = await weightedSum(ofAnswers, seen);
    return none;
  });
  return { ...found, scores: samples.map((_, i) => sum(found.images[i], found.answers[i])) };
}

const weighted = (...rewards: WeightedReward<CorlTruth>[]) => rewards.filter(({ weight }) => weight > 0);

function sum(a: Score, b: Score): Score {
  const there = [a.value, b.value].filter((value) => !Number.isNaN(value));
  const reason = present([a.reason, b.reason]).join('; ');
  const value = there.length > 0 ? there.reduce((x, y) => x + y) : NaN;
  return { value, parts: { ...a.parts, ...b.parts }, ...(reason ? { reason } : {}) };
}

const grouped = (scores: readonly Score[], size: number): number[][] =>
  Array.from({ length: scores.length / size }, (_, g) =>
    scores.slice(g * size, (g + 1) * size).map(({ value }) => value),
  );

function advantagesOf({ scores, images, answers }: Scored, options: CorlOptions): Advantages {
  const { advantages, groupSize, scaleRewards } = options;
  const of = (some: readonly Score[]) => groupAdvantages('grpo', grouped(some, groupSize), { scaleRewards }).advantages;
  return advantages === 'joint' ? of(scores) : { understanding: of(answers), generation: of(images) };
}
