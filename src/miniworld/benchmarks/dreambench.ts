/**
 * `mini-dreambench`: DreamBench's way of asking (Ruiz et al. 2023) with subjects that no training showed: each in four
 * prompts, of which no combination of thing and place was asked for before; averages by subject.
 */
import type { Benchmark, BenchmarkItem, ItemScore, Outputs } from '../../data/benchmark';
import { meanByCluster } from '../../data/columns';
import type { XcotExample } from '../../data/xcot';
import type { Rng } from '../../engine';
import { MINI_DETECTOR } from '../mini-detector';
import { MISSING_XCOT, type MiniXcotTask, XCOT_METRICS, type XcotTruth } from '../xcot-task';
import { subjectCaption } from '../xcot-subjects';

/** Four prompts for each of 32 subjects. */
const ITEMS = 128;

export interface MiniDreamBenchItem extends BenchmarkItem {
  readonly example: XcotExample<XcotTruth>;
}

export function miniDreamBench(task: MiniXcotTask, rng: Rng): Benchmark<MiniDreamBenchItem, null> {
  const items = task.heldOut(ITEMS, rng).map((example): MiniDreamBenchItem => ({
    id: example.id,
    cluster: subjectCaption(example.truth.subject),
    example,
    ask: { kind: 'image', prompt: example.prompt, references: () => Promise.resolve(example.references) },
  }));
  return {
    name: 'mini-dreambench',
    judges: [MINI_DETECTOR],
    columns: XCOT_METRICS.map((metric) => meanByCluster(metric)),
    async *items() {
      for (const item of await Promise.resolve(items)) yield { item };
    },
    score: (item, outputs) => Promise.resolve(scoreOf(task, item, outputs)),
  };
}

/** Means over the images that were drawn; where there is none the worst, since leaving it out would reward silence. */
function scoreOf(task: MiniXcotTask, { example }: MiniDreamBenchItem, { images }: Outputs): ItemScore<null> {
  if (images.length === 0) return { scores: { ...MISSING_XCOT, drawn: 0 }, detail: null };
  const each = task.assess(images.map((image) => ({ example, image })));
  const names = Object.keys(each[0]);
  const means = names.map((name) => [name, each.reduce((sum, one) => sum + one[name], 0) / each.length] as const);
  return { scores: { ...Object.fromEntries(means), drawn: 1 }, detail: null };
}
