/** One run of MM-R1 from end to end: cold start, reinforcement or its control, a comparison on subjects never trained. */
import path from 'node:path';
import type { XcotTask } from '../data/xcot';
import type { Evaluation } from '../data/task';
import { Rng } from '../engine';
import { compareEvaluations, type PairedDifference } from '../eval';
import { JsonLines, type Run, RunFolder } from '../io';
import { keepModel, loadAdapted } from '../models/adaptation';
import type { UnifiedModel } from '../models/unified';
import type { Reward } from '../rewards';
import type { StepReport } from '../sft';
import { mmR1, type MmR1Options, type MmR1Step, samplingOf, supervise } from './mm-r1';

export interface MmR1RunOptions<Truth = unknown> {
  /** A checkpoint's folder, of a Chameleon; of any backbone for what needs no sequences. */
  readonly model: string;
  readonly task: XcotTask<Truth>;
  readonly rewards: Readonly<Record<'similarity' | 'text', Reward<Truth>>>;
  readonly options: MmR1Options;
  /** The run's folder. Default: nothing is kept. */
  readonly out?: string;
  /** Go on with the run in the folder. */
  readonly resume?: boolean;
}

/** What a finished run leaves behind as `result.json`. */
export interface MmR1Result {
  readonly task: string;
  readonly seed: number;
  readonly steps: number;
  readonly controlSteps: number;
  /** Seconds of a supervised step and of all of reinforcement: how many steps the control of equal time gets. */
  readonly seconds: { readonly supervisedStep: number; readonly reinforcement: number };
  readonly metrics: Readonly<Record<string, PairedDifference>>;
}

export class MmR1Run<Truth = unknown> {
  private constructor(
    readonly model: UnifiedModel,
    readonly task: XcotTask<Truth>,
    readonly rewards: Readonly<Record<'similarity' | 'text', Reward<Truth>>>,
    readonly options: MmR1Options,
    private readonly folder?: string,
    private readonly run?: Run,
  ) {}

  /** @throws RunError when the folder holds another run, or one and `resume` is not asked for */
  static async open<Truth>(given: MmR1RunOptions<Truth>): Promise<MmR1Run<Truth>> {
    const { model: from, task, rewards, options, out, resume } = given;
    const model = await loadAdapted(from, options, new Rng(options.seed).split('adapters'));
    const identity = { recipe: 'mm-r1', model: path.basename(from), task: task.name, ...options };
    const run = out === undefined ? undefined : await RunFolder.open(out, identity, { resume });
    return new MmR1Run(model, task, rewards, options, out, run);
  }

  /** The cold start; of a run that is gone on with, what is left of it. */
  coldStart(): AsyncGenerator<StepReport, void> {
    return this.supervised('cold-start');
  }

  /** The control's supervised steps. */
  control(): AsyncGenerator<StepReport, void> {
    return this.supervised('control');
  }

  /** Reinforcement, step by step; with a folder it goes on where it was stopped. The last stage leaves `FOLDER/model`. */
  async *steps(): AsyncGenerator<MmR1Step, void> {
    const { model, task, rewards, run, options } = this;
    yield* mmR1({ model, task, rewards, run }, options);
    if (this.folder) await keepModel(model, this.folder);
  }

  /** Subjects never trained, with the model as it now is; the same random numbers every time. */
  evaluate(count?: number): Promise<Evaluation> {
    const { seed, structure } = this.options;
    const rng = new Rng(seed).split('evaluation');
    return this.task.evaluate(this.model, rng, { count, structure, ...samplingOf(this.options) });
  }

  async result(before: Evaluation, after: Evaluation): Promise<MmR1Result> {
    const { seed, steps, controlSteps } = this.options;
    const supervised = await this.times('cold-start/metrics.jsonl', ['step']);
    const reinforced = await this.times('metrics.jsonl', ['rollout', 'score', 'update']);
    const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
    return {
      task: this.task.name,
      seed,
      steps,
      controlSteps,
      seconds: { supervisedStep: sum(supervised) / supervised.length, reinforcement: sum(reinforced) },
      metrics: compareEvaluations(before, after, seed),
    };
  }

  /** Closes the folder's files and frees the model. */
  async close(): Promise<void> {
    await this.run?.close();
    this.model.dispose();
  }

  private async *supervised(stage: 'cold-start' | 'control'): AsyncGenerator<StepReport, void> {
    const { coldStart, controlSteps, steps } = this.options;
    if ((stage === 'control' ? controlSteps : coldStart.steps) === 0) return;
    yield* supervise(this, this.options, stage, this.folder && path.join(this.folder, stage));
    const isLast = steps === 0 && (stage === 'control' || controlSteps === 0);
    if (this.folder && isLast) await keepModel(this.model, this.folder);
  }

  /** Seconds of the steps that were logged, also of those that another process did. */
  private async times(file: string, names: readonly string[]): Promise<number[]> {
    if (!this.folder) return [];
    const lines = await JsonLines.read<Record<string, number>>(path.join(this.folder, file));
    return lines.map((line) => names.reduce((sum, name) => sum + (line[`time/${name}`] ?? 0), 0));
  }
}
