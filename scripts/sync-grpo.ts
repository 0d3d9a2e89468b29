/**
 * Sync-GRPO on one concept, as a plain script: the numbers of notebooks/tutorials/01-sync-grpo.ipynb in a terminal.
 *
 *   npx ts-node scripts/sync-grpo.ts [--concept mira] [--steps 30] [--seed 1] [--held-out 192] [--out out/sync-grpo] [--quick]
 *
 * Ctrl-C stops after the running step; the state is saved under OUT/checkpoints and the same command goes on from there.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import * as unilab from '../src';

const { values } = parseArgs({
  options: {
    concept: { type: 'string', default: 'mira' },
    steps: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    'held-out': { type: 'string', default: '192' },
    out: { type: 'string', default: 'out/sync-grpo' },
    quick: { type: 'boolean', default: false },
  },
});

function wholeNumber(name: 'steps' | 'seed' | 'held-out', least: number): number {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < least)
    throw new RangeError(`--${name} needs a whole number from ${least}, got '${values[name]}'`);
  return value;
}

async function main(): Promise<void> {
  const mini = unilab.SYNC_R1_MINI;
  const recipe: unilab.SyncR1Options = values.quick
    ? {
        ...mini,
        groupSize: 3,
        dsog: { ...(mini.dsog as unilab.DsogOptions), batch: 4, maxCandidates: 8 },
        stages: { ...mini.stages, steps: 3 },
      }
    : mini;
  const steps = values.quick ? 2 : wholeNumber('steps', 1);
  const out = values.out;
  const lab = await unilab.SyncLab.open(values.concept, {
    seed: wholeNumber('seed', 0),
    recipe,
    heldOut: values.quick ? 4 : wholeNumber('held-out', 1),
  });
  await unilab.display(unilab.imageGrid(lab.references.map(({ image, caption }) => ({ image, caption }))));

  const learning = unilab.progress(2 * recipe.stages.steps, 'concept tokens');
  for await (const report of lab.session.learnConcept()) learning.tick({ stage: report.stage, loss: report.loss });
  await learning.done();
  const before = await lab.evaluate();

  const store = new unilab.CheckpointStore<unknown>(path.join(out, 'checkpoints'), 1);
  const metricsFile = path.join(out, 'metrics.jsonl');
  const resumed = await lab.session.restore(store);
  if (resumed) console.log(`going on after step ${lab.session.stepsDone}`);
  const log = await unilab.JsonLines.open<{ step: number; metrics: Readonly<Record<string, number>> }>(
    metricsFile,
    (row) => row.step <= lab.session.stepsDone,
  );

  let stop = false;
  process.once('SIGINT', () => {
    stop = true;
    console.log('stopping after this step');
  });
  const bar = unilab.progress(Math.max(0, steps - lab.session.stepsDone), 'Sync-GRPO');
  const shown: unilab.SyncStep[] = [];
  for await (const step of lab.session.steps(Math.max(0, steps - lab.session.stepsDone))) {
    shown.push(step);
    await log.append({ step: step.step, metrics: step.metrics });
    bar.tick({ reward: step.metrics['reward/mean'], kl: step.metrics.kl });
    if (stop) break;
  }
  await log.close();
  await bar.done();
  if (stop) {
    console.log(
      `stopped after step ${lab.session.stepsDone}; saved ${await lab.session.save(store)}; the same command goes on`,
    );
    process.exit(130);
  }
  const rows = await unilab.JsonLines.read<{ step: number; metrics: Record<string, number> }>(metricsFile);
  await unilab.display(unilab.rewardPlot(rows.map(({ step, metrics }) => ({ step, ...metrics })), { metrics: ['reward/mean'] })); // prettier-ignore
  const svg = await unilab.svgOf(unilab.rewardSpec(rows.map(({ step, metrics }) => ({ step, ...metrics }))));
  const after = await lab.evaluate();
  const result = lab.result(before, after, rows);
  await unilab.display(unilab.tableView(Object.entries(result.metrics).map(([metric, m]) => ({ metric, n: m.n, before: m.before, after: m.after, delta: m.delta, low: m.ci95[0], high: m.ci95[1] })))); // prettier-ignore
  console.log((await unilab.saveSyncRun(out, lab, result, before, after, shown, svg)).join('\n'));
  console.log(JSON.stringify(result.heldout));
  lab.dispose();
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
