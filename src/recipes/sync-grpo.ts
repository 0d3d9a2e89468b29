/**
 * Sync-GRPO (Sync-R1 = UniCTokens-R1, where it is UniCTask-GRPO): a model learns a subject `<sks>` by reasoning about it
 * and drawing what it reasoned; text and image learn from one reward. DSOG (DGS) finishes promising images only.
 *
 *   one of two pathways, a question about an image (VIA) or facts to read (TIA), shared by the whole group  (Sec. 3.2)
 *   each candidate: an answer IR, the compound prompt CP, T/5 steps of its image, an early score           (Eq. 9-10)
 *   G candidates above the threshold are finished and scored, R = w1 TIER + w2 BER + w3 DER + w4 FER       (Eq. 3-6)
 *   A = R - mean R; one clipped step on the tokens of IR and on every transition of the image             (Eq. 7-8)
 *
 * Simplified: one group a step, as in the papers. The subject's tokens come first: {@link learnSubject} (Sec. 3.1).
 */
import * as z from 'zod';
import { PATHWAYS, type PersonalizationTask, type SubjectExample, type SubjectTruth } from '../data/personalization';
import { AdamW, Rng } from '../engine';
import { group, nameIn, option } from '../io/options';
import { adaptationShape } from '../models/adaptation';
import type { ImageSampler, ImageSegment, TextSegment, Trajectory, UnifiedModel } from '../models/unified';
import type { Run } from '../io';
import { columnsOf, type Reward, type Score, scoreTrajectories, type WeightedReward, weightedSum } from '../rewards';
import { conceptShape } from '../sft';
import { checkEarlySelection } from './early-selection';
import { keepingRefused, loggedSamples } from './samples';
import {
  aggregations,
  checkSpread,
  completionMetrics,
  groupAdvantages,
  rewardMetrics,
  type DsogReport,
  type EarlyScore,
  dsogShape,
  selectEarly,
  type ThresholdState,
  trainStep,
  trainStepShape,
} from '../rl';

const REWARDS = ['tier', 'ber', 'der', 'fer'] as const;
const table4 = { paper: 'Sync-R1, Table 4' };
const text = { maxNewTokens: option(z.int().positive(), 64, 'Longest answer, in tokens.') };
const image = {
  steps: option(z.int().positive(), 50, 'T: masked decoding steps.', table4),
  guidanceScale: option(z.number(), 6, 's of uncond + s (cond - uncond). The paper prints w = s - 1 = 5.', table4),
  temperature: option(z.number().positive(), 1, 'Of the codes.'),
  imageLogProbs: option(z.enum(['guided', 'conditional']), 'guided', 'Whose log-probs are recorded and replayed.'),
  scored: option(z.enum(['all', 'masked', 'unmasked']), 'all', 'Which positions of a step are decisions.'),
};

/** Where the papers' values differ from the training core's. */
const paperShape = {
  aggregation: option(nameIn(aggregations), 'seq-mean-token-sum', 'Sum over tokens, as printed.', {
    paper: 'UniCTokens-R1, App. H',
  }),
  beta: option(z.number().min(0), 0.01, 'Weight of the KL penalty (k3).', table4),
  weightDecay: option(z.number().min(0), 0.01, "AdamW's."),
  segmentWeights: group(
    {
      understanding: option(z.number().min(0), 0.4, 'alpha_und.', { paper: 'Eq. 7-8' }),
      generation: option(z.number().min(0), 0.6, 'alpha_gen.', { paper: 'Eq. 7-8' }),
    },
    'Weight of each kind of segment.',
  ),
};

/** Defaults are the paper's. */
export const syncGrpoOptions = z.strictObject({
  steps: option(z.int().positive(), 100, 'Steps of reinforcement learning.', table4),
  groupSize: option(z.int().min(2), 9, 'G: finished members of a group.', table4),
  seed: option(z.int(), 1, 'Of everything that is random.'),
  pathways: option(
    z.array(z.enum(PATHWAYS)).min(1),
    [...PATHWAYS],
    'Drawn from equally often; one left out is an ablation.',
  ),
  rewards: option(z.array(z.enum(REWARDS)).min(1), [...REWARDS], 'Those that are summed; fewer are an ablation.'),
  understanding: option(z.boolean(), true, 'Reason before drawing; false: the prompt alone is drawn (Table 2).'),
  ...adaptationShape,
  ...trainStepShape,
  ...paperShape,
  subjectLearningRate: option(z.number().positive(), 1e-6, "Of the subject's rows, in reinforcement learning."),
  text: group(text, 'Reasoning.'),
  image: group(image, 'Drawing.'),
  dsog: group(dsogShape, 'DSOG: dynamic scaling of group size.'),
  subject: group(conceptShape, "The subject's tokens."),
});
export type SyncGrpoOptions = z.infer<typeof syncGrpoOptions>;

/**
 * For a model of a few million parameters on two CPU cores. Each line is a difference from the paper: a higher learning
 * rate for a model a thousand times smaller; eight steps fill 8 x 8 codes; a segment is divided by its own length, since
 * six words cannot be balanced against 512 image terms by 0.4 / 0.6 alone; only codes that stay in the image are
 * scored (four of five are masked again: variance, not signal); six tokens for a subject, which learn faster. As chosen on
 * a validation subject (docs/results.md): larger groups, no KL penalty, a higher target pass rate.
 */
export const syncGrpoMini = {
  steps: 30,
  groupSize: 24,
  beta: 0,
  learningRate: 1e-4,
  subjectLearningRate: 2e-3,
  weightDecay: 0,
  aggregation: 'segment-mean',
  text: { maxNewTokens: 6 },
  image: { steps: 8, guidanceScale: 3, scored: 'unmasked' },
  dsog: { batch: 48, targetPassRate: 0.5 },
  subject: { understanding: 4, generation: 2, steps: 100, learningRate: 1e-2, generationBatch: 6 },
} as const;

export interface SyncGrpoSetup<Truth extends SubjectTruth = SubjectTruth> {
  readonly model: UnifiedModel;
  readonly task: PersonalizationTask<Truth>;
  readonly rewards: readonly WeightedReward<Truth>[];
  /** Looks at early images; in the paper BER. */
  readonly judge: Reward<Truth>;
  /** Names of the subject's rows among the model's variables; see `learnConceptTokens`. */
  readonly subjectRows?: readonly string[];
  readonly run?: Run;
}

/** A finished member of a group. */
export interface SyncGrpoSample extends Trajectory {
  readonly reasoning?: TextSegment;
  readonly image: ImageSegment;
  /** What its image was asked to show. */
  readonly compoundPrompt: string;
  /** What it would have been at the probe, and the score of that; absent without DSOG. */
  readonly early?: { readonly codes: Int32Array; readonly score: number };
}

export interface SyncGrpoStep {
  /** From 1. */
  readonly step: number;
  readonly example: SubjectExample;
  readonly samples: readonly SyncGrpoSample[];
  /** R and its parts, sample by sample. */
  readonly scores: readonly Score[];
  readonly advantages: readonly number[];
  readonly dsog?: DsogReport;
  /** TRL's names where TRL has one. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Seconds. */
  readonly timings: Readonly<Record<'rollout' | 'score' | 'update', number>>;
}

/** Leave the `for await` between steps at any time. With a run, the same call goes on from there, bit for bit. */
export async function* syncGrpo<Truth extends SubjectTruth>(
  setup: SyncGrpoSetup<Truth>,
  options: SyncGrpoOptions,
): AsyncGenerator<SyncGrpoStep, void, undefined> {
  const { model, task, run, subjectRows = [] } = setup;
  const { learningRate, subjectLearningRate, weightDecay } = options;
  checkEarlySelection(model, options);
  const follows = options.refModelSyncSteps !== null;
  const reference = options.beta > 0 ? model.frozenCopy('F32', follows) : undefined; // of the weights that a run starts from
  const rate = (name: string) => (subjectRows.includes(name) ? subjectLearningRate : learningRate);
  const optimizer = new AdamW({ learningRate, weightDecay, rate });
  const state = { step: 0, flatGroups: 0, threshold: undefined as ThresholdState | undefined };
  const parts = { model, optimizer, reference: follows ? reference : undefined };
  try {
    await run?.restore(state, parts);
    while (state.step < options.steps) {
      const rng = new Rng(options.seed).split('sync-grpo').split(state.step);
      const clock = [performance.now()];
      const example = await task.sample(rng.split('example'), rng.split('pathway').pick(options.pathways));
      const { samples, dsog } = await rollOut(setup, example, options, state.threshold, rng);
      clock.push(performance.now());
      const scores = await score(setup, example, samples);
      const rewards = [scores.map(({ value }) => value)];
      const { advantages } = groupAdvantages('dr_grpo', rewards);
      const logged = run && (await loggedSamples(model.imageTokenizer, samples, scores));
      clock.push(performance.now());
      const update = await keepingRefused(run, state.step + 1, logged, () => {
        checkSpread(state, rewards, options.selfChecks);
        return trainStep(model, reference, samples, advantages, optimizer, options);
      });
      clock.push(performance.now());
      state.step++;
      state.threshold = dsog?.next ?? state.threshold;
      const sampled = { ...rewardMetrics(rewards, columnsOf(scores)), ...completionMetrics(samples) };
      const metrics = { ...sampled, ...update, ...dsog?.metrics };
      const [rollout, scored, updated] = clock.slice(1).map((time, i) => (time - clock[i]) / 1000);
      const timings = { rollout, score: scored, update: updated };
      await run?.log({ step: state.step, metrics, timings, samples: logged });
      await run?.save(state, parts);
      yield { step: state.step, example, samples, scores, advantages, dsog, metrics, timings };
    }
  } finally {
    reference?.dispose();
    optimizer.dispose();
  }
}

interface Candidate {
  readonly reasoning?: TextSegment;
  readonly compoundPrompt: string;
  /** Its image is the `index`-th of a sampler. */
  readonly sampler: ImageSampler;
  readonly index: number;
  readonly early?: SyncGrpoSample['early'];
}

/** One group: all of its candidates, or those that looked promising early. */
async function rollOut<Truth extends SubjectTruth>(
  setup: SyncGrpoSetup<Truth>,
  example: SubjectExample<Truth>,
  options: SyncGrpoOptions,
  before: ThresholdState | undefined,
  rng: Rng,
): Promise<{ samples: SyncGrpoSample[]; dsog?: DsogReport }> {
  const { dsog, groupSize, image } = options;
  const candidates = (from: number, count: number) => {
    const rngs = Array.from({ length: count }, (_, i) => rng.split(`candidate ${from + i}`));
    return propose(setup.model, example, options, rngs);
  };
  if (!dsog.enabled) return { samples: finish(candidates(0, groupSize)) };
  const probeSteps = Math.max(1, Math.round(image.steps * dsog.probeShare));
  const pool: Candidate[] = [];
  try {
    const { chosen, report } = await selectEarly({ ...dsog, groupSize }, before, async (from, count) => {
      const fresh = candidates(from, count);
      pool.push(...fresh);
      return probe(setup, example, fresh, probeSteps);
    });
    return { samples: finish(chosen), dsog: report };
  } finally {
    for (const sampler of new Set(pool.map((candidate) => candidate.sampler))) sampler.dispose();
  }
}

/** Reasons, and begins an image of each compound prompt. Every candidate draws from numbers of its own. */
function propose(
  model: UnifiedModel,
  example: SubjectExample,
  options: SyncGrpoOptions,
  rngs: readonly Rng[],
): Candidate[] {
  const question = model.prompt(example.question, 'understand');
  const asked = rngs.map((rng) => ({ prompt: question, rng: rng.split('answer') }));
  const answers = options.understanding ? model.sampleText(asked, options.text) : [];
  const prompts = rngs.map((_, i) => (answers[i] ? example.compoundPrompt(answers[i].text) : example.prompt));
  const drawn = rngs.map((rng, i) => ({ prompt: model.prompt([prompts[i]], 'generate'), rng: rng.split('image') }));
  const sampler = model.imageSampler(drawn, options.image);
  return prompts.map((compoundPrompt, index) => ({ reasoning: answers[index], compoundPrompt, sampler, index }));
}

/** Draws on to the probe and scores what each image would be if everything still open were as predicted. */
async function probe<Truth extends SubjectTruth>(
  { model: { imageTokenizer }, judge }: SyncGrpoSetup<Truth>,
  example: SubjectExample<Truth>,
  candidates: readonly Candidate[],
  steps: number,
): Promise<EarlyScore<Candidate>[]> {
  const [{ sampler }] = candidates;
  while (sampler.stepsDone < steps) sampler.step();
  const predicted = sampler.predicted as readonly Int32Array[]; // checked when the run began
  const sampled = candidates.map(({ compoundPrompt }, i) => {
    const image: ImageSegment = { name: 'generation', codes: predicted[i], grid: imageTokenizer.grid, transitions: [] };
    return { example, trajectory: { segments: [image] }, imagePrompt: example.inClassWords(compoundPrompt) };
  });
  const scores = await scoreTrajectories<Truth>(imageTokenizer, sampled, judge);
  return scores.map(({ value, reason }, i) => {
    const early = { codes: predicted[i], score: Math.min(0.999, Math.max(0.001, value)) }; // a threshold lives in (0, 1)
    return { candidate: { ...candidates[i], early }, score: early.score, reason };
  });
}

/** Candidates of one sampler are finished together. */
function finish(chosen: readonly Candidate[]): SyncGrpoSample[] {
  const images = new Map<Candidate, ImageSegment>();
  for (const sampler of new Set(chosen.map((candidate) => candidate.sampler))) {
    const own = chosen.filter((candidate) => candidate.sampler === sampler);
    const finished = sampler.select(own.map(({ index }) => index)).finish();
    own.forEach((candidate, i) => images.set(candidate, finished[i]));
  }
  return chosen.map((candidate) => {
    const { reasoning, compoundPrompt, early } = candidate;
    const image = images.get(candidate) as ImageSegment;
    return { segments: reasoning ? [reasoning, image] : [image], reasoning, image, compoundPrompt, early };
  });
}

function score<Truth extends SubjectTruth>(
  { model, rewards }: SyncGrpoSetup<Truth>,
  example: SubjectExample<Truth>,
  samples: readonly SyncGrpoSample[],
): Promise<readonly Score[]> {
  const sampled = samples.map((trajectory) => ({
    example,
    trajectory,
    imagePrompt: example.inClassWords(trajectory.compoundPrompt),
  }));
  return scoreTrajectories<Truth>(model.imageTokenizer, sampled, (seen) => weightedSum(rewards, seen));
}
