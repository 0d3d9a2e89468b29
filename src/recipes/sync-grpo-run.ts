/**
 * One run of Sync-GRPO from end to end: the subject's tokens, reinforcement, a comparison on held-out prompts. Notebooks,
 * scripts and the command line go through here; what differs is who looks.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { PersonalizationTask, SubjectKind, SubjectTruth } from '../data/personalization';
import type { Evaluation } from '../data/task';
import { Rng, type tf } from '../engine';
import { compareEvaluations, type PairedDifference } from '../eval';
import { fromTensor, JsonLines, readSafetensors, type Run, RunFolder, toTensor, writeSafetensors } from '../io';
import { keepModel, loadAdapted } from '../models/adaptation';
import type { ConceptRows, PersonalizableModel, UnifiedModel } from '../models/unified';
import type { Reward, SubjectRewards, WeightedReward } from '../rewards';
import { type ConceptReport, conceptSteps, learnConceptTokens } from '../sft';
import { checkEarlySelection } from './early-selection';
import { syncGrpo, type SyncGrpoOptions, type SyncGrpoStep } from './sync-grpo';

export interface SyncGrpoRunOptions {
  /** A checkpoint's folder, of any backbone. */
  readonly model: string;
  readonly task: PersonalizationTask;
  readonly rewards: SubjectRewards;
  readonly options: SyncGrpoOptions;
  /** The run's folder. Default: nothing is kept. */
  readonly out?: string;
  /** Go on with the run in the folder. */
  readonly resume?: boolean;
}

/** What a finished run leaves behind as `result.json`. */
export interface SyncGrpoResult {
  readonly subject: string;
  readonly steps: number;
  readonly seed: number;
  /** The metric that a run is judged by; `prompts` distinct ones, whose intervals are clustered by prompt. */
  readonly heldout: Omit<PairedDifference, 'clusters' | 'left'> & { readonly metric: string; readonly prompts: number };
  /** Mean reward of the first and the last five steps. */
  readonly rewards: { readonly first: number; readonly last: number };
  readonly metrics: Readonly<Record<string, PairedDifference>>;
}

export class SyncGrpoRun {
  /** Rewards of all steps, also of those that another process did. */
  private history: number[] = [];

  private constructor(
    readonly model: UnifiedModel,
    readonly task: PersonalizationTask,
    readonly rewards: SubjectRewards,
    readonly options: SyncGrpoOptions,
    private readonly rows: ConceptRows,
    private readonly folder?: string,
    private readonly run?: Run & { close(): Promise<void> },
  ) {}

  /**
   * Loads the model and gives it the subject's tokens, which know nothing yet.
   * @throws Error for a model that cannot learn a subject, or be selected from early; RunError when the folder holds another run
   */
  static async open({ model: from, task, rewards, options, out, resume }: SyncGrpoRunOptions): Promise<SyncGrpoRun> {
    const model = await loadAdapted(from, options, new Rng(options.seed).split('adapters'));
    if (!isPersonalizable(model)) throw new Error(`${from}: ${model.modelType} cannot be given tokens of a subject`);
    try {
      checkEarlySelection(model, options);
      const { understanding, generation } = options.subject;
      const tokens = { initializer: task.subject.className, understanding, generation };
      const rows = model.addConceptTokens(tokens, new Rng(options.seed).split('subject'));
      const identity = { recipe: 'sync-grpo', model: path.basename(from), concept: task.subject.name, ...options };
      const run = out === undefined ? undefined : await RunFolder.open(out, identity, { resume });
      return new SyncGrpoRun(model, task, rewards, options, rows, out, run);
    } catch (error) {
      model.dispose();
      throw error;
    }
  }

  /** The supervised stages (Sec. 3.1); a run that is gone on with has what they gave in its folder. */
  async *learnSubject(): AsyncGenerator<ConceptReport, void> {
    const file = this.folder && path.join(this.folder, 'subject.safetensors');
    const variables = this.subjectVariables();
    if (file && existsSync(file)) {
      const saved = await readSafetensors(file);
      for (const [name, variable] of Object.entries(variables)) {
        const tensor = toTensor(saved[name]);
        variable.assign(tensor);
        tensor.dispose();
      }
      return;
    }
    const { references } = this.task.subject;
    yield* learnConceptTokens(this.model as PersonalizableModel, this.rows, references, this.settings);
    const tensors = Object.entries(variables).map(([name, variable]) => [name, fromTensor(variable)] as const);
    if (file) await writeSafetensors(file, Object.fromEntries(tensors));
  }

  /** Steps of all supervised stages together, for a progress bar. */
  get subjectSteps(): number {
    return conceptSteps(this.task.subject.references, this.settings);
  }

  /**
   * The control of equal time: the supervised stages go on, jointly, in the place of reinforcement.
   * @param steps see `data/results/step-times.json` for how many last as long as a step of reinforcement
   */
  async *control(steps: number): AsyncGenerator<ConceptReport, void> {
    const folder = this.folder && path.join(this.folder, 'control');
    const settings = {
      ...this.settings,
      initialization: 'joint',
      steps,
      seed: this.options.seed + 1e6,
      folder,
    } as const;
    yield* learnConceptTokens(this.model as PersonalizableModel, this.rows, this.task.subject.references, settings);
  }

  /** Reinforcement, step by step; with a folder it goes on where it was stopped, and at its end leaves `FOLDER/model`. */
  async *steps(): AsyncGenerator<SyncGrpoStep, void> {
    const { model, task, run, options } = this;
    const rewards = weightedRewards(task.subject.kind, this.rewards, options);
    const setup = { model, task, rewards, judge: this.rewards.ber as Reward<SubjectTruth>, run };
    try {
      for await (const step of syncGrpo({ ...setup, subjectRows: Object.values(this.rows) }, options)) {
        this.history.push(step.metrics.reward);
        yield step;
      }
      if (this.folder) await keepModel(model, this.folder);
    } finally {
      if (this.folder) this.history = await rewardsIn(this.folder);
    }
  }

  /** Held-out prompts with the model as it now is; the same random numbers every time. */
  evaluate(count?: number): Promise<Evaluation> {
    const { text, image } = this.options;
    return this.task.evaluate(this.model, new Rng(this.options.seed).split('evaluation'), { count, text, image });
  }

  /** @param judgedBy a metric. Default: the task's headline; where so few items were asked that none has it, the first */
  result(before: Evaluation, after: Evaluation, judgedBy = this.task.headline): SyncGrpoResult {
    const metrics = compareEvaluations(before, after, this.options.seed);
    const metric = judgedBy in metrics ? judgedBy : Object.keys(metrics)[0];
    const { clusters, left: _, ...heldout } = metrics[metric];
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    return {
      subject: this.task.subject.name,
      steps: this.options.steps,
      seed: this.options.seed,
      heldout: { metric, prompts: clusters, ...heldout },
      rewards: { first: mean(this.history.slice(0, 5)), last: mean(this.history.slice(-5)) },
      metrics,
    };
  }

  /** Closes the folder's files and frees the model. */
  async close(): Promise<void> {
    await this.run?.close();
    this.model.dispose();
  }

  private get settings() {
    const { steps, ...stages } = this.options.subject;
    return { ...stages, steps: steps ?? undefined, seed: this.options.seed };
  }

  private subjectVariables(): Record<string, tf.Variable> {
    const variables = this.model.variables();
    return Object.fromEntries(Object.values(this.rows).map((name: string) => [name, variables[name]]));
  }
}

async function rewardsIn(folder: string): Promise<number[]> {
  const lines = await JsonLines.read<{ readonly reward?: number }>(path.join(folder, 'metrics.jsonl'));
  return lines.map(({ reward }) => reward ?? NaN);
}

const isPersonalizable = (model: UnifiedModel): model is PersonalizableModel => 'addConceptTokens' in model;

/** w1..w4 of TIER, BER, DER, FER (Sec. 3.3). */
export const syncGrpoWeights: Readonly<Record<SubjectKind, Readonly<Record<'tier' | 'ber' | 'der' | 'fer', number>>>> =
  {
    person: { tier: 0.4, ber: 0.2, der: 0.2, fer: 0.2 },
    animal: { tier: 0.4, ber: 0.3, der: 0.3, fer: 0 },
    object: { tier: 0.4, ber: 0.3, der: 0.3, fer: 0 },
  };

/** R = w1 TIER + w2 BER + w3 DER + w4 FER, of those that are asked for. Without reasoning there is nothing for TIER to read. */
export function weightedRewards(
  kind: SubjectKind,
  rewards: SubjectRewards,
  { rewards: names, understanding }: Pick<SyncGrpoOptions, 'rewards' | 'understanding'>,
): WeightedReward<SubjectTruth>[] {
  const summed = names.flatMap((name) => {
    const [reward, weight] = [rewards[name], syncGrpoWeights[kind][name]];
    return reward && weight > 0 && (name !== 'tier' || understanding) ? [{ reward, weight }] : [];
  });
  if (summed.length === 0)
    throw new RangeError(`of the rewards ${names.join(', ')} none is left for ${kind} subjects: ask for more`);
  return summed;
}
