/** GenEval's summary of detector verdicts (Ghosh et al. 2023, arXiv 2310.11513), as its released script takes the means. */
import { grouped, mean } from './mean';

/** One picture. */
export interface GenEvalRecord {
  /** The task, e.g. `two_object`. */
  readonly tag: string;
  /** The line that describes the prompt. Prompts are told apart by it: equal words with other metadata are another prompt. */
  readonly metadata: string;
  /** Whether the detector found what the prompt asks for. */
  readonly correct: boolean;
}

/** One task. */
export interface GenEvalTask {
  /** Share of its pictures that are correct, 0 to 1. */
  readonly score: number;
  readonly correct: number;
  readonly total: number;
}

export interface GenEvalSummary {
  /** Plain mean over the tasks that occur: each weighs the same, however many pictures it has; 0 to 1. */
  readonly overall: number;
  readonly tasks: ReadonlyMap<string, GenEvalTask>;
  /** Share of all pictures that are correct. */
  readonly images: number;
  readonly imagesTotal: number;
  /** Share of prompts with at least one correct picture. */
  readonly prompts: number;
  readonly promptsTotal: number;
}

/** @throws RangeError without records */
export function genEval(records: readonly GenEvalRecord[]): GenEvalSummary {
  const tasks = new Map<string, GenEvalTask>();
  for (const [tag, verdicts] of grouped(records.map((r) => [r.tag, r.correct] as const))) {
    const correct = verdicts.filter(Boolean).length;
    tasks.set(tag, { score: correct / verdicts.length, correct, total: verdicts.length });
  }
  const prompts = [...grouped(records.map((r) => [r.metadata, r.correct] as const)).values()];
  const share = (verdicts: readonly boolean[]): number => mean(verdicts.map(Number), 'GenEval records');
  return {
    images: share(records.map((r) => r.correct)),
    imagesTotal: records.length,
    overall: mean(
      [...tasks.values()].map((task) => task.score),
      'GenEval tasks',
    ),
    tasks,
    prompts: share(prompts.map((verdicts) => verdicts.includes(true))),
    promptsTotal: prompts.length,
  };
}
