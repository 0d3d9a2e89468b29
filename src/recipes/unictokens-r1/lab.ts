/** Everything that one concept's Sync-R1 needs, opened with one call: model, judges, references, held-out prompts. */
import {
  type Concept,
  CONCEPTS,
  conceptReferences,
  describeConceptScene,
  findConcept,
  loadSprites,
  type TiaExample,
} from '../../miniworld';
import { startEngine } from '../../engine';
import { SubjectSimilarity, SceneDetector } from '../../miniworld/detector';
import { dataFolder } from '../../io/package-root';
import type { Image } from '../../io';
import { MiniClip } from '../../models/scorers/mini-clip';
import { MiniLooks } from '../../models/scorers/mini-looks';
import { MobileNet } from '../../models/scorers/mobilenet';
import { UseLite } from '../../models/scorers/use-lite';
import { ShowoModel } from '../../models/showo/model';
import type { PairedDifference } from '../../eval';
import {
  compareHeldOut,
  evaluateConcept,
  type HeldOutJudges,
  type HeldOutMetric,
  type HeldOutResult,
  heldOutExamples,
} from './evaluate';
import { SYNC_R1_MINI, type SyncR1Options } from './options';
import { conceptJudges } from './rewards';
import { SyncR1, type SyncStep } from './session';

export interface SyncLabOptions {
  /** Of everything that is random. Default 1. */
  readonly seed?: number;
  /** Default {@link SYNC_R1_MINI}. */
  readonly recipe?: SyncR1Options;
  /** Folder of a Show-o checkpoint. Default: the mini one that ships. */
  readonly checkpoint?: string;
  /** Held-out prompts. Default 192. */
  readonly heldOut?: number;
}

/** What a finished run leaves behind as `result.json`. */
export interface SyncResult {
  readonly concept: string;
  readonly steps: number;
  readonly seed: number;
  readonly heldout: {
    readonly metric: string;
    readonly n: number;
    readonly before: number;
    readonly after: number;
    readonly delta: number;
    readonly ci95: readonly [number, number];
  };
  readonly rewards: { readonly first: number; readonly last: number };
  readonly wallSeconds: number;
  /** Every metric of the independent judge. */
  readonly metrics: Readonly<Record<HeldOutMetric, PairedDifference>>;
}

/**
 * The metric that a run is judged by, see `HeldOutResult.scores`: how near the subject comes to its held-out reference
 * images, which is what personalizing is for (CLIP-I and DINO in the papers).
 */
export const HEADLINE_METRIC: HeldOutMetric = 'likeness';

/** Steps at either end of a run whose mean reward is reported as first and last. */
const ENDS = 5;

export class SyncLab {
  private readonly started = performance.now();

  private constructor(
    readonly concept: Concept,
    readonly session: SyncR1,
    /** The independent judge. */
    readonly judges: HeldOutJudges,
    /** Training references with captions. */
    readonly references: readonly { readonly image: Image; readonly caption: string }[],
    readonly heldOut: readonly TiaExample[],
    readonly seed: number,
  ) {}

  /**
   * Starts the engine and loads everything.
   * @throws Error naming the known concepts for an unknown one, or the checkpoint file that is missing or damaged
   */
  static async open(name: string, options: SyncLabOptions = {}): Promise<SyncLab> {
    const {
      seed = 1,
      recipe = SYNC_R1_MINI,
      checkpoint = dataFolder('checkpoints', 'showo-mini'),
      heldOut = 192,
    } = options;
    const concept = findConcept(name);
    await startEngine();
    const sprites = await loadSprites();
    const model = await ShowoModel.fromPretrained(checkpoint);
    const models = {
      sentences: await UseLite.load(),
      clip: await MiniClip.load(),
      mobilenet: recipe.der === 'mobilenet' ? await MobileNet.load() : undefined,
      face: await MiniLooks.load('mini-face'),
      figure: await MiniLooks.load('mini-figure'),
    };
    const judges = await conceptJudges(models, concept, CONCEPTS.filter((other) => other.name !== name), sprites, recipe.der); // prettier-ignore
    const session = new SyncR1({ model, concept, sprites, judges, options: recipe, seed });
    const references = conceptReferences(concept, 'train', sprites).map(({ pixels, scene }) => ({
      image: { width: 64, height: 64, rgb: pixels },
      caption: describeConceptScene(scene),
    }));
    const reader = await SceneDetector.load();
    return new SyncLab(
      concept,
      session,
      { reader, likeness: SubjectSimilarity.of(reader, concept, sprites) },
      references,
      heldOutExamples(concept, heldOut, seed),
      seed,
    );
  }

  /** Answers, draws and reads the held-out prompts with the model as it now is; same draws every time. */
  evaluate(count = this.heldOut.length): Promise<HeldOutResult[]> {
    return evaluateConcept(this.session.context, this.concept, this.heldOut.slice(0, count), this.judges, this.seed);
  }

  /** Puts a run together. @param steps of the run, in order */
  result(
    before: readonly HeldOutResult[],
    after: readonly HeldOutResult[],
    steps: readonly Pick<SyncStep, 'metrics'>[],
  ): SyncResult {
    const metrics = compareHeldOut(before, after, this.seed);
    const { n, before: was, after: is, delta, ci95 } = metrics[HEADLINE_METRIC];
    const rewards = steps.map((step) => step.metrics['reward/mean']);
    const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
    return {
      concept: this.concept.name,
      steps: steps.length,
      seed: this.seed,
      heldout: { metric: HEADLINE_METRIC, n, before: was, after: is, delta, ci95: [ci95[0], ci95[1]] },
      rewards: { first: mean(rewards.slice(0, ENDS)), last: mean(rewards.slice(-ENDS)) },
      wallSeconds: (performance.now() - this.started) / 1000,
      metrics,
    };
  }

  dispose(): void {
    this.session.dispose();
    this.session.setup.model.dispose();
  }
}
