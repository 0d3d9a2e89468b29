/**
 * CoRL's pilot study (Sec. 3.2, Fig. 1): four ways to reinforce drawing and answering. Every way sees as many groups of
 * each kind: `cycle` takes twice the steps of `unified`, and `separate` makes two models of one kind each. The pilot's
 * reward of images is a CLIP's score; it comes in the place of R_cycle, with weights.tim=0.
 *
 *   separate          a model that draws better, and another that answers better
 *   separate+merge    both merged onto what they started from, by the Gaussian rule
 *   cycle             one model, drawing and answering in turn
 *   unified           one model, both at once with one advantage
 */
import path from 'node:path';
import type { CorlTask } from '../data/corl-task';
import { mergeFolders, type MergeReport } from '../eval';
import type { CorlOptions, CorlStep } from './corl';
import { type CorlRunSetup, modelFolder, runCorl } from './corl-run';

interface Part {
  readonly name: string;
  readonly outputs: CorlOptions['outputs'];
  /** Steps, in those of `unified`. */
  readonly share: number;
}

const SEPARATE: readonly Part[] = [
  { name: 'image', outputs: 'image', share: 1 },
  { name: 'text', outputs: 'text', share: 1 },
];

export const paradigms = {
  separate: { parts: SEPARATE, merges: false },
  'separate+merge': { parts: SEPARATE, merges: true },
  cycle: { parts: [{ name: 'cycle', outputs: 'alternate', share: 2 }], merges: false },
  unified: { parts: [{ name: 'unified', outputs: 'both', share: 1 }], merges: false },
} as const satisfies Record<string, { readonly parts: readonly Part[]; readonly merges: boolean }>;
export type Paradigm = keyof typeof paradigms;

const partsOf = (paradigm: Paradigm): readonly Part[] => paradigms[paradigm].parts;

/** Steps of all parts together, for a progress bar. */
export const paradigmSteps = (paradigm: Paradigm, { steps }: CorlOptions): number =>
  partsOf(paradigm).reduce((sum, { share }) => sum + share * steps, 0);

/** Folders of the models that a paradigm ends with. */
export const paradigmModels = (paradigm: Paradigm, out: string): string[] =>
  paradigms[paradigm].merges ? [path.join(out, 'merged')] : partsOf(paradigm).map(({ name }) => modelFolder(out, name));

export type ParadigmStep =
  | { readonly part: string; readonly step: CorlStep; readonly of: number }
  | { readonly part: 'merged'; readonly report: MergeReport };

/**
 * Leave the `for await` between steps at any time; with `resume` the same call goes on. The two ways of separate runs
 * share them when they are given one folder.
 * @param start the checkpoint's folder that every part starts from, and what it learns from
 */
export async function* runParadigm(
  paradigm: Paradigm,
  setup: CorlRunSetup,
  { base, task }: { readonly base: string; readonly task: CorlTask },
  options: CorlOptions,
): AsyncGenerator<ParadigmStep, void, undefined> {
  for (const { name, outputs, share } of partsOf(paradigm)) {
    const own: CorlOptions = { ...options, outputs, steps: share * options.steps };
    for await (const step of runCorl(setup, { name, from: base, task, options: own }))
      yield { part: name, step, of: own.steps };
  }
  if (!paradigms[paradigm].merges) return;
  const tuned = partsOf(paradigm).map(({ name }) => modelFolder(setup.out, name));
  yield { part: 'merged', report: await mergeFolders(base, tuned, path.join(setup.out, 'merged')) };
}
