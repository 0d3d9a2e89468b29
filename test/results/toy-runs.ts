/** Runs of a method that learns by counting: for a look at how a list of runs is worked through. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type EvaluatedItem, evaluationOf } from '../../src/data/task';
import type { ListedRun } from '../../scripts/results/runs';
import { ResultStore } from '../../scripts/results/store';
import { controlSteps, evaluatedOnce, followed, inFolder, type MethodRuns } from '../../scripts/results/work';
import { workThrough } from '../../scripts/results/work-through';

export const TOY_RUNS: readonly ListedRun[] = [1, 2].flatMap((seed) =>
  ['full', 'control'].map((variant) => ({ method: 'sync-grpo', variant, backbone: 'toy', seed }) as const),
);

const STEPS = 6;

/** @param killAt kills the process, as kill -9 does, when so many steps of all runs are done */
function counting(folder: string, killAt: number): MethodRuns {
  return {
    async perform(work) {
      const { variant, seed } = work.run;
      const steps = inFolder(work, 'steps');
      const learned = () => (existsSync(steps) ? readFileSync(steps, 'utf8').length : 0);
      const evaluate = () => {
        // Four prompts, the last one drawn twice; what is learned shows in the first half.
        const items = [0, 1, 2, 3, 3].map((p, draw): EvaluatedItem => {
          const skill = p < 2 ? learned() / 10 : 0;
          return { prompt: `prompt ${p}`, scores: { joint_success: skill, ...(draw > 2 ? { shown: seed } : {}) } };
        });
        return Promise.resolve(evaluationOf(items));
      };
      const before = await evaluatedOnce(inFolder(work, 'before.json'), evaluate);
      const count = variant === 'control' ? await controlSteps(STEPS, work) : STEPS;
      async function* training() {
        while (learned() < count) {
          appendFileSync(steps, '.');
          appendFileSync(path.join(folder, 'all-steps'), '.');
          if (readFileSync(path.join(folder, 'all-steps'), 'utf8').length === killAt)
            process.kill(process.pid, 'SIGKILL');
          yield await Promise.resolve();
        }
      }
      await followed(training(), 'counting', count, work);
      const after = await evaluatedOnce(inFolder(work, 'after.json'), evaluate);
      return { options: { count, seed }, before, after, scope: `${seed}: ` };
    },
    // Three supervised steps last as long as one and a half of reinforcement.
    stepTimes: () => Promise.resolve([1, 3, 2].map((time) => ({ reinforcement: time, supervised: 2 * time }))),
  };
}

export async function workThroughToys(folder: string, killAt = Infinity): Promise<string[]> {
  const store = new ResultStore(path.join(folder, 'results'));
  const lines: string[] = [];
  await workThrough(TOY_RUNS, {
    methods: { 'sync-grpo': counting(folder, killAt) },
    store,
    folder: path.join(folder, 'work'),
    modelOf: () => 'none',
    told: ' limit=3',
    finished: async () => void (await store.writeSummary()),
    say: (line) => lines.push(line),
  });
  return lines;
}

if (require.main === module) void workThroughToys(process.argv[2], Number(process.argv[3]));
