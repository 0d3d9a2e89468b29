/** `unilab train sync-grpo`: a model of any backbone learns a subject, of the mini world or of a folder. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ConceptFolderTask } from '../data/concept-folder';
import { listConcepts } from '../data/concept-files';
import { progress } from '../display';
import { startEngine } from '../engine';
import { dataFolder } from '../io/package-root';
import { help, resolveOptions } from '../io/options';
import { ConceptTask } from '../miniworld/concept-task';
import { miniRewards } from '../miniworld/rewards';
import { modelFolder } from '../models/adaptation';
import { saveResult } from '../recipes/result-files';
import { syncGrpoMini, syncGrpoOptions } from '../recipes/sync-grpo';
import { SyncGrpoRun } from '../recipes/sync-grpo-run';
import type { SubjectRewards } from '../rewards';
import { paperRewards } from '../rewards/from-folders';
import type { Command } from './command';
import { sayCompilations } from './compilations';
import { countOf, Interruption, presetIn, readConfig, StepBar } from './training';

const PRESETS = { paper: {}, mini: syncGrpoMini } as const;

export const command: Command = {
  summary: 'a model learns a subject by reasoning and drawing (Sync-R1 / UniCTokens-R1)',
  usage: `unilab train sync-grpo --concept NAME [--model FOLDER] [--data FOLDER] [--preset paper|mini] [--scorers FOLDER]
                       [--config FILE] [--set KEY=VALUE ...] [--out DIR] [--resume] [--held-out N]

  --concept NAME   of the mini world (default mira), or a name in --data (default: its first)
  --model FOLDER   a checkpoint of any backbone (default: Show-o mini)
  --data FOLDER    subjects in UnifyBench++'s layout; texts as the mini world has them with --preset mini
  --preset         paper (default) or mini: what differs is listed in src/recipes/sync-grpo.ts
  --scorers FOLDER the paper's reward models in blip2/, dinov2/, ernie/ and, for people, mtcnn/ and facenet/;
                   default: small stand-ins that ship with the project, each under its own name
  --config FILE    options as JSON; --set KEY=VALUE goes over it
  --out DIR        the run's folder (default out/sync-grpo/CONCEPT): options, metrics, TensorBoard, samples, checkpoints;
                   at its end DIR/model, which --model of unilab eval and of every other command takes
  --resume         go on with the run in the folder
  --held-out N     prompts that are compared before and after (default 96)

Ctrl-C stops after the running step; the same command with --resume goes on, bit for bit, also after a kill.

Options, with range, default and paper:

${help(syncGrpoOptions)}`,
  async run(args) {
    const { values } = parseArgs({
      args: args.slice(1), // behind the recipe's name
      options: {
        concept: { type: 'string' },
        model: { type: 'string', default: dataFolder('checkpoints', 'showo-mini') },
        data: { type: 'string' },
        preset: { type: 'string', default: 'paper' },
        scorers: { type: 'string' },
        config: { type: 'string' },
        set: { type: 'string', multiple: true, default: [] },
        out: { type: 'string' },
        resume: { type: 'boolean', default: false },
        'held-out': { type: 'string', default: '96' },
      },
    });
    const { model, data, preset, scorers, config, set, resume } = values;
    const heldOut = countOf('held-out', values['held-out']);
    const options = resolveOptions(syncGrpoOptions, presetIn(PRESETS, preset), readConfig(config), set);
    await startEngine();
    sayCompilations();
    const concept = values.concept ?? (data === undefined ? 'mira' : listConcepts(data)[0]);
    const style = preset === 'mini' ? 'spaced' : 'plain';
    const task =
      data === undefined ? await ConceptTask.open(concept) : await ConceptFolderTask.open(data, concept, { style });
    const { kind } = task.subject;
    const loaded = scorers === undefined ? undefined : await paperRewards(scorers, kind);
    const rewards = loaded ?? (await miniRewards(kind));
    if (scorers === undefined && preset === 'paper')
      console.error(`without --scorers stand-ins run: ${namesOf(rewards).join(', ')}`);
    const out = values.out ?? path.join('out', 'sync-grpo', concept);
    try {
      return await follow(await SyncGrpoRun.open({ model, task, rewards, options, out, resume }), out, heldOut);
    } finally {
      loaded?.dispose();
    }
  },
};

const namesOf = ({ tier, ber, der, fer }: SubjectRewards) => [tier, ber, der, fer].flatMap((part) => part?.name ?? []);

/** Everything of a run, with progress; leaves `result.json`. @returns the exit status: 130 when Ctrl-C stopped it between two steps */
export async function follow(run: SyncGrpoRun, out: string, heldOut: number): Promise<number> {
  await mkdir(out, { recursive: true });
  const learning = progress(run.subjectSteps, 'subject');
  for await (const { stage, loss } of run.learnSubject()) learning.tick({ stage, loss });
  await learning.done();
  const before = await run.evaluate(heldOut);
  const interruption = new Interruption();
  const bar = new StepBar(run.options.steps, 'Sync-GRPO');
  for await (const { step, metrics } of run.steps()) {
    bar.step(step, { reward: metrics.reward, kl: metrics.kl, passed: metrics['dsog/pass_rate'] });
    if (interruption.isAsked) break;
  }
  interruption.release();
  const stopped = interruption.isAsked;
  await bar.end(!stopped);
  if (!stopped) {
    const after = await run.evaluate(heldOut);
    const result = run.result(before, after);
    await saveResult(
      out,
      result,
      { before, after },
      run.task.subject.references.map(({ image }) => image),
    );
    console.log(JSON.stringify(result.heldout));
    console.error(`the model: ${modelFolder(out)}`);
  }
  await run.close();
  return stopped ? 130 : 0;
}
