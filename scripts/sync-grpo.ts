/**
 * Sync-GRPO on a concept of the mini world, as a plain script: the numbers of notebooks/tutorials/01-sync-grpo.ipynb in a
 * terminal. `unilab train sync-grpo` does the same for any model and any folder of subjects.
 *
 *   npx ts-node scripts/sync-grpo.ts [--concept mira] [--steps 30] [--seed 1] [--held-out 96] [--out DIR] [--resume] [--quick]
 *
 * Ctrl-C stops after the running step; the same command with --resume goes on from there.
 */
import { parseArgs } from 'node:util';
import * as unilab from '../src';

const { values } = parseArgs({
  options: {
    concept: { type: 'string', default: 'mira' },
    steps: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    'held-out': { type: 'string', default: '96' },
    out: { type: 'string', default: 'out/sync-grpo' },
    resume: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
  },
});

const QUICK = { steps: 2, groupSize: 3, dsog: { batch: 4 }, subject: { steps: 3 } };

async function main(): Promise<void> {
  const { concept, steps, seed, out, resume, quick } = values;
  const set = quick ? [`seed=${seed}`] : [`steps=${steps}`, `seed=${seed}`];
  const run = await unilab.miniworld.openSyncGrpo(concept, { options: quick ? QUICK : {}, set, out, resume });
  const count = quick ? 4 : Number(values['held-out']);
  await unilab.display(unilab.imageGrid(run.task.subject.references));

  for await (const { stage, step, loss } of run.learnSubject())
    if (step % 20 === 0) console.log(`${stage} ${step}: loss ${loss.toFixed(3)}`);
  const before = await run.evaluate(count);

  let stopped = false;
  process.once('SIGINT', () => (stopped = true));
  for await (const { step, example, metrics } of run.steps()) {
    console.log(`${step} (${example.pathway}): reward ${metrics.reward.toFixed(3)}, passed ${metrics['dsog/passed']}`);
    if (stopped) break;
  }
  if (!stopped) {
    const after = await run.evaluate(count);
    const result = run.result(before, after);
    const rows = Object.entries(result.metrics).map(([metric, { ci95, ...row }]) => ({
      metric,
      ...row,
      ci95: ci95.join(' '),
    }));
    await unilab.display(unilab.tableView(rows));
    const references = run.task.subject.references.map(({ image }) => image);
    await unilab.recipes.saveResult(out, result, { before, after }, references);
    console.log(JSON.stringify(result.heldout));
  }
  await run.close();
  if (stopped) process.exitCode = 130;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
