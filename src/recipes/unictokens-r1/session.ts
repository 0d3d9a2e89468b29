/**
 * UniCTokens-R1 / Sync-R1 on one concept, step by step. `learnConcept` gives the concept its tokens; `steps` is the
 * reinforcement learning, an async iterator that a notebook shows and a script logs:
 *
 *   for a random pathway (visual instruct or text attribute) and one of its examples:
 *     each candidate reasons (IR), its compound prompt is drawn for T/5 steps and judged        (DSOG, Eq. 9-10)
 *     G candidates above the threshold are finished; R = w1 TIER + w2 BER + w3 DER + w4 FER     (Eq. 3-6)
 *     A = R - mean R; one clipped step on the reasoning and on every image transition           (Eq. 7-8)
 */
import { type Concept, conceptReferences, conceptQuestions, type SpriteSheet } from '../../miniworld';
import { AdamW, Rng, tf } from '../../engine';
import { type CheckpointStore, fromTensor, type Image, toTensor, type WritableTensor } from '../../io';
import type { ConceptTokens } from '../../models/showo/concept-tokens';
import type { ShowoModel } from '../../models/showo/model';
import type { ConceptRows } from '../../models/unified';
import { groupAdvantages } from '../../rl/advantages';
import type { ThresholdState } from '../../rl/dsog';
import type { Policy } from '../../rl/policy';
import { mean } from '../../rl/statistics';
import { rewardMetrics } from '../../rl/reward-metrics';
import { updatePolicy } from '../../rl/update';
import { type ConceptReference, type ConceptReport, learnConceptTokens } from '../../sft/concept-tokens';
import { ExampleSource, type SyncExample } from './examples';
import type { SyncR1Options } from './options';
import { decodeImages } from './pictures';
import { type ConceptJudges, earlyScores, type RewardRow, scoreSamples } from './rewards';
import {
  type DsogReport,
  imageOfPixels,
  type RolloutContext,
  rollOut,
  type ShowoPiece,
  type SyncSample,
} from './rollout';

export interface SyncR1Setup {
  readonly model: ShowoModel;
  readonly concept: Concept;
  readonly sprites: SpriteSheet;
  readonly judges: ConceptJudges;
  readonly options: SyncR1Options;
  readonly seed: number;
}

/** One member of a group, ready to be looked at. */
export interface ShownSample {
  readonly reasoning: string;
  readonly compound: string;
  readonly image: Image;
  /** The image at the probe, and its early score. */
  readonly early?: { readonly image: Image; readonly score: number };
  readonly reward: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly advantage: number;
}

export interface SyncStep {
  /** From 1. */
  readonly step: number;
  readonly example: SyncExample;
  readonly samples: readonly ShownSample[];
  readonly dsog?: DsogReport;
  /** TRL's names where TRL has one. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Seconds. */
  readonly timings: { readonly rollout: number; readonly score: number; readonly update: number };
}

interface SavedState {
  readonly concept: string;
  readonly seed: number;
  readonly threshold?: ThresholdState;
}

export class SyncR1 {
  readonly tokens: ConceptRows;
  private readonly optimizer: AdamW;
  private readonly examples: ExampleSource;
  private reference?: ShowoModel;
  private threshold?: ThresholdState;
  private done = 0;

  constructor(readonly setup: SyncR1Setup) {
    const { model, concept, options, seed } = setup;
    const { learningRate, weightDecay, tokenLearningRate = learningRate } = options;
    const start = new Rng(seed).split('concept tokens');
    this.tokens = model.addConceptTokens({ initializer: concept.class, ...options.tokens }, start);
    const rows = new Set(Object.values(this.tokens));
    const scale = (name: string) => (rows.has(name) ? tokenLearningRate / learningRate : 1);
    this.optimizer = new AdamW({ learningRate, weightDecay, scale });
    this.examples = new ExampleSource(concept, setup.sprites, options.pathways);
  }

  /** Steps of reinforcement learning done so far. */
  get stepsDone(): number {
    return this.done;
  }

  get context(): RolloutContext {
    const { model, options } = this.setup;
    return { model, options };
  }

  /** The two supervised stages on the training references; only the concept's tokens learn. */
  async *learnConcept(): AsyncGenerator<ConceptReport> {
    const { model, options, seed } = this.setup;
    yield* learnConceptTokens(model, this.tokens, this.references(), { ...options.stages, seed });
  }

  /**
   * Reinforcement learning, `count` more steps. The first call freezes the reference as the model then is. Leave the
   * `for await` between steps at any time; a later call goes on.
   */
  async *steps(count: number): AsyncGenerator<SyncStep> {
    this.reference ??= this.setup.model.frozenCopy();
    for (let i = 0; i < count; i++) yield await this.step();
  }

  private async step(): Promise<SyncStep> {
    const { model, options, judges, concept, seed } = this.setup;
    const rng = new Rng(seed).split('sync-grpo').split(this.done);
    const started = performance.now();
    const example = this.examples.draw(rng.split('example'));
    const judge = (early: readonly Int32Array[], compounds: readonly string[]) =>
      earlyScores(model, judges, concept, early, compounds);
    const rollout = await rollOut(this.context, example, judge, this.threshold, rng.split('rollout'));
    const sampled = performance.now();
    const rewards = await scoreSamples(model, judges, concept, options, example, rollout.samples);
    const scored = performance.now();
    const totals = rewards.map((row) => row.reward);
    const { advantages } = groupAdvantages(options.advantage as 'dr_grpo', [totals]);
    const update = updatePolicy(this.policy(), rollout.samples, advantages, this.optimizer, options);
    this.threshold = rollout.dsog;
    this.done++;
    return {
      step: this.done,
      example,
      samples: await this.show(rollout.samples, rewards, advantages),
      dsog: rollout.dsog,
      metrics: {
        ...rewardMetrics([totals], partColumns(rewards)),
        ...update,
        'completions/mean_length': mean(rollout.samples.map((sample) => sample.reasoning.split(' ').length)),
        learning_rate: options.learningRate,
      },
      timings: {
        rollout: (sampled - started) / 1000,
        score: (scored - sampled) / 1000,
        update: (performance.now() - scored) / 1000,
      },
    };
  }

  private policy(): Policy {
    const { model } = this.setup;
    const { reference } = this;
    if (!reference) throw new Error('there is no reference yet: steps() makes it');
    return {
      variables: () => model.variables(),
      replay: (pieces, weights) =>
        (weights === 'policy' ? model : reference).replay(
          (pieces as readonly ShowoPiece[]).map(({ transition }) => transition),
        ),
    };
  }

  private references(): ConceptReference[] {
    const { concept, sprites } = this.setup;
    return conceptReferences(concept, 'train', sprites).map((image) => ({
      image: imageOfPixels(image.pixels),
      caption: image.caption,
      questions: conceptQuestions(concept, image).map((q) => ({ question: q.problem, answer: q.solution })),
    }));
  }

  private async show(
    samples: readonly SyncSample[],
    rewards: readonly RewardRow[],
    advantages: readonly number[],
  ): Promise<ShownSample[]> {
    const final = await decodeImages(this.setup.model, samples.map((s) => s.codes)); // prettier-ignore
    const early = samples.flatMap((s) => (s.early ? [s.early.codes] : []));
    const probed = early.length === samples.length ? await decodeImages(this.setup.model, early) : [];
    return samples.map((sample, i) => ({
      reasoning: sample.reasoning,
      compound: sample.compound,
      image: final[i],
      early: sample.early && { image: probed[i], score: sample.early.score },
      reward: rewards[i].reward,
      parts: rewards[i].parts,
      advantage: advantages[i],
    }));
  }

  /** Saves everything that the next step depends on; {@link SyncR1.restore} goes on bit for bit. */
  async save(store: CheckpointStore<unknown>): Promise<string> {
    const { concept, seed, model } = this.setup;
    const tensors: Record<string, WritableTensor> = {};
    const put = (prefix: string, list: Readonly<Record<string, tf.Tensor>>) => {
      for (const [name, tensor] of Object.entries(list)) tensors[`${prefix}.${name}`] = fromTensor(tensor);
    };
    const optimizer = this.optimizer.state();
    put('model', model.variables());
    put('optimizer', optimizer);
    if (this.reference) {
      put('reference', numbersOf(this.reference));
    }
    const state: SavedState = { concept: concept.name, seed, threshold: this.threshold };
    const folder = await store.save(this.done, { tensors, state });
    tf.dispose(optimizer);
    return folder;
  }

  /** Goes on from the newest checkpoint. @returns whether there was one @throws Error when it is another concept's or seed's */
  async restore(store: CheckpointStore<unknown>): Promise<boolean> {
    const found = await store.latest();
    if (!found) return false;
    const state = found.state as SavedState;
    const { concept, seed, model } = this.setup;
    if (state.concept !== concept.name || state.seed !== seed) {
      throw new Error(
        `${found.folder} is of concept ${state.concept} with seed ${state.seed}, this run is of ${concept.name} with seed ${seed}`,
      );
    }
    this.reference?.dispose();
    this.reference = undefined;
    const hasReference = Object.keys(found.tensors).some((name) => name.startsWith('reference.'));
    if (hasReference) this.reference = model.frozenCopy();
    const optimizer: Record<string, tf.Tensor> = {};
    const targets: Record<string, Readonly<Record<string, tf.Variable>> | undefined> = {
      model: model.variables(),
      reference: this.reference && numbersOf(this.reference),
    };
    for (const [name, raw] of Object.entries(found.tensors)) {
      const cut = name.indexOf('.');
      const [prefix, key] = [name.slice(0, cut), name.slice(cut + 1)];
      const tensor = toTensor(raw);
      if (prefix === 'optimizer') optimizer[key] = tensor;
      else {
        targets[prefix]?.[key].assign(tensor);
        tensor.dispose();
      }
    }
    this.optimizer.load(optimizer);
    tf.dispose(optimizer);
    this.threshold = state.threshold;
    this.done = found.step;
    return true;
  }

  dispose(): void {
    this.setup.model.removeConceptTokens();
    this.optimizer.dispose();
    this.reference?.dispose();
  }
}

/** What a frozen model computes with, by name. */
function numbersOf({ network }: ShowoModel): Record<string, tf.Variable> {
  return { ...network.parameters.variables, ...(network.extra as ConceptTokens | undefined)?.variables };
}

function partColumns(rewards: readonly RewardRow[]): Record<string, number[]> {
  const names = Object.keys(rewards[0]?.parts ?? {});
  return Object.fromEntries(names.map((name) => [name, rewards.map((row) => row.parts[name])]));
}
