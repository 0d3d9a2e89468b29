/** One group of Sync-GRPO: reason, draw early images, keep the promising ones (DSOG, Eq. 9-10), finish them. */
import { type Rng } from '../../engine';
import { type Answer, type AnswerPrefix, sampleAnswers } from '../../models/showo/answers';
import type { ConceptTokens } from '../../models/showo/concept-tokens';
import { textPrefix, understandingPrefix } from '../../models/showo/layout';
import type { ShowoModel } from '../../models/showo/model';
import { answerPiece, type ShowoPiece, transitionPieces } from '../../models/showo/policy';
import { ImageBatch } from '../../models/showo/sampler';
import { initialThreshold, nextThreshold, selectCandidates, type ThresholdState } from '../../rl/dsog';
import type { TextTokenizer } from '../../text';
import type { SyncExample } from './examples';
import type { SyncR1Options } from './options';

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
  readonly tokens: ConceptTokens;
  readonly text: TextTokenizer;
  readonly options: SyncR1Options;
}

interface Candidate {
  readonly reasoning: string;
  readonly compound: string;
  readonly pieces: readonly ShowoPiece[];
}

/** The question as the model reads it: about an image, or text alone. */
export function questionPrefix(
  { model, tokens, text }: RolloutContext,
  example: SyncExample,
  codes?: Int32Array,
): AnswerPrefix {
  const question = text.encode(example.question);
  return codes
    ? { ids: understandingPrefix(model.config, codes, tokens.expand(question)), image: true }
    : { ids: textPrefix(model.config, question), image: false };
}

/** The prompt of an image as the model reads it. */
export function promptTokens({ tokens, text }: RolloutContext, prompt: string): number[] {
  return tokens.expand(text.encode(prompt));
}

/**
 * Samples a group.
 * @param codes of the example's image (VIA)
 * @param threshold DSOG's state, undefined before the first group: then a first batch of candidates sets it
 */
export async function rollOut(
  context: RolloutContext,
  example: SyncExample,
  codes: Int32Array | undefined,
  judge: EarlyJudge,
  threshold: ThresholdState | undefined,
  rng: Rng,
): Promise<Rollout> {
  const { options } = context;
  const { dsog, groupSize } = options;
  if (!dsog) {
    const { candidates, batch } = propose(context, example, codes, 0, groupSize, rng);
    batch.finish();
    return { samples: candidates.map((candidate, i) => finished(candidate, batch, i, options)) };
  }
  // Candidates come in batches until enough of them pass; a batch is probed, not finished.
  const probeSteps = Math.max(1, Math.round((options.images.steps ?? 8) * dsog.probeShare));
  const pool: { candidate: Candidate; batch: ImageBatch; index: number; early: Int32Array }[] = [];
  const scores: number[] = [];
  let state = threshold;
  for (;;) {
    const count = Math.min(dsog.batch, dsog.maxCandidates - pool.length);
    const { candidates, batch } = propose(context, example, codes, pool.length, count, rng);
    while (batch.stepsDone < probeSteps) batch.advance();
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
      const part = source.subset(members.map((i) => pool[i].index));
      part.finish();
      members.forEach((i, k) =>
        samples.push({
          ...finished(pool[i].candidate, part, k, options),
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
  codes: Int32Array | undefined,
  from: number,
  count: number,
  rng: Rng,
): { candidates: Candidate[]; batch: ImageBatch } {
  const { model, text, options } = context;
  const rngs = Array.from({ length: count }, (_, i) => rng.split(`candidate ${from + i}`));
  const candidates = options.understanding
    ? reason(context, example, codes, rngs)
    : rngs.map((): Candidate => ({ reasoning: '', compound: example.prompt, pieces: [] }));
  const prompts = candidates.map((candidate) => context.tokens.expand(text.encode(candidate.compound)));
  return { candidates, batch: new ImageBatch(model, prompts, rngs.map((s) => s.split('picture')), options.images) }; // prettier-ignore
}

function reason(
  context: RolloutContext,
  example: SyncExample,
  codes: Int32Array | undefined,
  rngs: readonly Rng[],
): Candidate[] {
  const prefix = questionPrefix(context, example, codes);
  const answers = sampleAnswers(context.model, rngs.map(() => prefix), rngs.map((s) => s.split('answer')), { maxNewTokens: context.options.maxAnswerTokens }); // prettier-ignore
  return answers.map((answer) => {
    const reasoning = answerText(context, answer);
    return { reasoning, compound: example.compound(reasoning), pieces: [answerPiece(prefix, answer)] };
  });
}

/** The words of an answer, without end and padding tokens. */
export function answerText({ model, text }: RolloutContext, answer: Answer): string {
  return text.decode(answer.ids.filter((id) => id !== model.vocabulary.eot && id < text.vocabularySize));
}

function finished(candidate: Candidate, batch: ImageBatch, index: number, options: SyncR1Options): SyncSample {
  return {
    reasoning: candidate.reasoning,
    compound: candidate.compound,
    codes: batch.codes[index],
    pieces: [...candidate.pieces, ...transitionPieces(batch, index, options.scored)],
  };
}
