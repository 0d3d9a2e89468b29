/** Runs of the baselines that Sync-GRPO is compared with: the same concept, prompts and images as its runs of that seed. */
import { startEngine } from '../../src/engine';
import { resolveOptions } from '../../src/io/options';
import { ConceptTask } from '../../src/miniworld';
import { loadModel } from '../../src/models/load';
import { Baseline, baselineMini, type BaselineName, baselineOptions, syncGrpoMini } from '../../src/recipes';
import { evaluatedOnce, followed, heldOut, inFolder, type Performed, type Work } from './work';

/** Show-o draws from text alone, so there is no image prompt; `supervised` is what full runs are before reinforcement. */
export const BASELINE_VARIANTS = ['text-prompt', 'textual-inversion', 'dreambooth'] as const satisfies BaselineName[];

/** Before: the model that knows nothing of the subject, asked with words for its class. */
export async function performBaseline(work: Work, concept: string, prompts: number): Promise<Performed> {
  await startEngine();
  const task = await ConceptTask.open(concept);
  const model = await loadModel(work.model);
  const { limit, run } = work;
  const small =
    limit === undefined ? {} : { inversion: { steps: limit }, dreambooth: { steps: limit, classImages: 2 } };
  const options = resolveOptions(baselineOptions, baselineMini, { seed: run.seed }, small);
  const { text, image } = { text: syncGrpoMini.text, image: syncGrpoMini.image };
  const count = heldOut(prompts, work);
  try {
    const { description } = task.concept;
    const open = (name: BaselineName, words?: string) =>
      Baseline.open(name, { model, task, description: words }, options);
    const evaluated = (name: string, baseline: Baseline) =>
      evaluatedOnce(inFolder(work, `${name}.json`), () => baseline.evaluate({ count, text, image }));
    const before = await evaluated('before', await open('text-prompt'));
    const baseline = await open(run.variant as BaselineName, description);
    const { inversion, dreambooth } = options;
    const steps = { 'textual-inversion': inversion.steps, dreambooth: dreambooth.steps }[run.variant] ?? 0;
    await followed(baseline.steps(), run.variant, steps, work);
    const after = await evaluated('after', baseline);
    return { options: { concept, ...options }, before, after, scope: `${concept}: ` };
  } finally {
    model.dispose();
  }
}
