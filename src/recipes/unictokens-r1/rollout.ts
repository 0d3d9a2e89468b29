/** One group of Sync-GRPO: reason, draw early images, keep the promising ones (DSOG, Eq. 9-10), finish them. */
import { type Rng } from '../../engine';
import type { Image } from '../../io';
import type { ShowoModel } from '../../models/showo/model';
import type { ShowoTransition } from '../../models/showo/policy';
import type { ShowoImageSampler } from '../../models/showo/sampler';
import { initialThreshold, nextThreshold, selectCandidates, type ThresholdState } from '../../rl/dsog';
import type { SyncExample } from './examples';
import type { SyncR1Options } from './options';

/** A transition as the update takes it. */
export interface ShowoPiece {
  readonly segment: ShowoTransition['segment'];
  readonly ids: Int32Array;
  readonly logProbs: Float32Array;
  readonly mask: Uint8Array;
  readonly transition: ShowoTransition;
}

const pieceOf = (transition: ShowoTransition): ShowoPiece => ({
  segment: transition.segment,
  ids: transition.sampledIds,
  logProbs: transition.logProbs,
  mask: transition.actionMask,
  transition,
});

/** One finished member of a group. */
export interface SyncSample {
  /** The answer as text: the reasoning (IR). */
  readonly reasoning: string;
  readonly compound: string;
  /** Finished codes. */
  readonly codes: Int32Array;
  /** What the image looked like at the probe, as codes, and its score there; absent without DSOG. */
  readonly early?: { readonly codes: Int32Array; readonly score: number };
  readonly pieces: readonly ShowoPiece[];
}

export interface Rollout {
  readonly samples: readonly SyncSample[];
  readonly dsog?: DsogReport;
}

/** What early selection did, and where the threshold went. */
export interface DsogReport extends ThresholdState {
  readonly candidates: number;
  readonly passed: number;
  readonly passRate: number;
  /** Members that did not pass: taken because the bound on candidates was reached. */
  readonly filled: number;
  /** Early scores of all candidates, in the order they were sampled. */
  readonly scores: readonly number[];
}

/** Scores early images: `[candidates]` codes and compound prompts in, one number in [0, 1] each out. */
export type EarlyJudge = (codes: readonly Int32Array[], compounds: readonly string[]) => Promise<number[]>;

export interface RolloutContext {
  readonly model: ShowoModel;
  readonly options: SyncR1Options;
}

interface Candidate {
  readonly reasoning: string;
  readonly compound: string;
  readonly pieces: readonly ShowoPiece[];
}

/**
 * Samples a group.
 * @param threshold DSOG's state, undefined before the first group: then a first batch of candidates sets it
 */
export async function rollOut(
  context: RolloutContext,
  example: SyncExample,
  judge: EarlyJudge,
  threshold: ThresholdState | undefined,
  rng: Rng,
): Promise<Rollout> {
  const { options } = context;
  const { dsog, groupSize } = options;
  if (!dsog) {
    const { candidates, batch } = propose(context, example, 0, groupSize, rng);
    batch.finish();
    return { samples: candidates.map((candidate, i) => finished(candidate, batch, i)) };
  }
  // Candidates come in batches until enough of them pass; a batch is probed, not finished.
  const probeSteps = Math.max(1, Math.round((options.images.steps ?? 8) * dsog.probeShare));
  const pool: { candidate: Candidate; batch: ShowoImageSampler; index: number; early: Int32Array }[] = [];
  const scores: number[] = [];
  let state = threshold;
  for (;;) {
    const count = Math.min(dsog.batch, dsog.maxCandidates - pool.length);
    const { candidates, batch } = propose(context, example, pool.length, count, rng);
    while (batch.stepsDone < probeSteps) batch.step();
    scores.push(...(await judge(batch.predicted, candidates.map((c) => c.compound)))); // prettier-ignore
    candidates.forEach((candidate, index) => pool.push({ candidate, batch, index, early: batch.predicted[index] }));
    state ??= { threshold: initialThreshold(scores, dsog.targetPassRate), trend: 0 };
    const choice = selectCandidates(scores, {
      threshold: state.threshold,
      groupSize,
      targetPassRate: dsog.targetPassRate,
      maxCandidates: dsog.maxCandidates,
    });
    if (!choice.enough) continue;
    const samples: SyncSample[] = [];
    for (const source of new Set(choice.selected.map((i) => pool[i].batch))) {
      const members = choice.selected.filter((i) => pool[i].batch === source);
      const part = source.select(members.map((i) => pool[i].index));
      part.finish();
      members.forEach((i, k) =>
        samples.push({
          ...finished(pool[i].candidate, part, k),
          early: { codes: pool[i].early, score: scores[i] },
        }),
      );
    }
    const { threshold: next, trend } = nextThreshold(state, choice.passRate, dsog);
    return {
      samples,
      dsog: {
        threshold: next,
        trend,
        candidates: scores.length,
        passed: choice.passed,
        passRate: choice.passRate,
        filled: choice.filled,
        scores,
      },
    };
  }
}

/** Reasons and starts images; every candidate has a stream of its own, so that none depends on its neighbors. */
function propose(
  context: RolloutContext,
  example: SyncExample,
  from: number,
  count: number,
  rng: Rng,
): { candidates: Candidate[]; batch: ShowoImageSampler } {
  const { model, options } = context;
  const rngs = Array.from({ length: count }, (_, i) => rng.split(`candidate ${from + i}`));
  const candidates = options.understanding
    ? reason(context, example, rngs)
    : rngs.map((): Candidate => ({ reasoning: '', compound: example.prompt, pieces: [] }));
  const requests = candidates.map(({ compound }, i) => ({
    prompt: model.prompt([compound], 'generate'),
    rng: rngs[i].split('picture'),
  }));
  const { scored, imageLogProbs } = options;
  return { candidates, batch: model.imageSampler(requests, { ...options.images, scored, imageLogProbs }) };
}

/** What is asked: about an image (VIA), or of text alone. */
export function questionParts({ image, question }: SyncExample): (string | Image)[] {
  return image ? [imageOfPixels(image), question] : [question];
}

/** A square image of RGB bytes. */
export function imageOfPixels(rgb: Uint8Array): Image {
  const side = Math.round(Math.sqrt(rgb.length / 3));
  return { width: side, height: side, rgb };
}

function reason({ model, options }: RolloutContext, example: SyncExample, rngs: readonly Rng[]): Candidate[] {
  const prompt = model.prompt(questionParts(example), 'understand');
  const requests = rngs.map((rng) => ({ prompt, rng: rng.split('answer') }));
  return model.sampleText(requests, { maxNewTokens: options.maxAnswerTokens }).map(({ text, transitions }) => ({
    reasoning: text,
    compound: example.compound(text),
    pieces: transitions.map(pieceOf),
  }));
}

function finished(candidate: Candidate, batch: ShowoImageSampler, index: number): SyncSample {
  return {
    reasoning: candidate.reasoning,
    compound: candidate.compound,
    codes: batch.codes[index],
    pieces: [...candidate.pieces, ...batch.transitions[index].map(pieceOf)],
  };
}
