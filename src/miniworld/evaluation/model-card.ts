/** README.md of a mini model's checkpoint, from its evaluation and its training curves. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { writeFileAtomic } from '../../io/write-file';
import { HELD_OUT_COMBINATIONS } from '../world';
import { STAGES } from '../curricula/stages';
import { metricTable, IMAGE_LICENSES, spent } from './cards';
import { readCurve, saveCurve } from './curve';
import type { EvalReport } from './metrics';
import type { MiniModel } from './mini-models';

/**
 * Writes README.md, eval.json, and curve-STAGE.json and curve-STAGE.svg of every stage whose curve is there. Of stages
 * that ran elsewhere, what the folder's card says of them stays.
 * @param training folder with one folder for each stage, as `unilab train` leaves it
 * @throws Error when there is no curve of the model's main stage, neither a new one nor in the card
 */
export async function writeModelCard(
  model: MiniModel,
  folder: string,
  report: EvalReport,
  training: string,
): Promise<void> {
  const { commands, plots } = await trainingHistory(model, folder, training);
  await writeFileAtomic(path.join(folder, 'eval.json'), `${JSON.stringify(report, null, 2)}\n`);
  const card = cardText(model, folder, report, commands, plots);
  await writeFileAtomic(path.join(folder, 'README.md'), card);
}

/** What ran, a line each, and names of the curves that were drawn. */
interface TrainingHistory {
  readonly commands: readonly string[];
  readonly plots: readonly string[];
}

/** Draws the curves that are there. @throws Error when the model's main stage has none, neither a new one nor in the card */
async function trainingHistory(model: MiniModel, folder: string, training: string): Promise<TrainingHistory> {
  const commands: string[] = [];
  const plots: string[] = [];
  const card = path.join(folder, 'README.md');
  const earlier = existsSync(card) ? readFileSync(card, 'utf8').split('\n') : [];
  for (const [stage, losses] of model.history) {
    const file = path.join(training, stage, 'metrics.jsonl');
    const known = earlier.find((line) => line.startsWith(`- \`bin/unilab train ${stage}\`: `));
    if (!existsSync(file) && known && existsSync(path.join(folder, `curve-${stage}.svg`))) {
      commands.push(known.replace(/^- |\.$/g, ''));
      plots.push(`curve-${stage}`);
    } else if (existsSync(file) && stage in STAGES) {
      const curve = await readCurve(file);
      await saveCurve(folder, `curve-${stage}`, curve, stage, losses);
      const { seed } = STAGES[stage].settings;
      commands.push(`\`bin/unilab train ${stage}\`: seed ${seed}, ${curve.steps} steps, ${spent(curve.seconds)}`);
      plots.push(`curve-${stage}`);
    } else if (stage === model.stage)
      throw new Error(`the card needs the training curve; there is none at ${file} (--training FOLDER)`);
  }
  return { commands, plots };
}

function cardText(
  model: MiniModel,
  folder: string,
  report: EvalReport,
  commands: readonly string[],
  plots: readonly string[],
): string {
  const split = report.settings?.split;
  const heldOut = HELD_OUT_COMBINATIONS.map((c) => `${c.color} ${c.object}`).join(', ');
  const option = model.name === 'showo' ? '' : ` --model ${model.name}`;
  return `# ${model.title}

${model.about}

${commands.map((line) => `- ${line}.`).join('\n')}
${model.notes.map((line) => `- ${line}`).join('\n')}
- Files: ${files(folder)}.

## Data
Scenes of the mini world (\`src/miniworld\`), drawn anew for every batch: captions, questions with answers, and facts to be read in
context. Twelve (object, colour) combinations occur in no training image, caption, question or fact: ${heldOut}.

## Held-out scores
\`bin/unilab eval mini-world${option} --n ${report.n} --seed ${report.seed}\`, split \`${split}\`: every scene has a combination that training never showed.
Images: ${model.sampled(report.settings ?? {})}, read by the independent scene detector
(\`data/checkpoints/scene-reader\`). An image counts as right only when *every* figure that the caption names is.

${metricTable(report, (name) => !name.startsWith('ceiling/'))}

\`object\`: every kind of figure is there; \`colour\`: each in its colour; \`count\`: as many as asked; \`position\`: where the caption says
(where it says so); \`ground\`; \`exact\`: all of it and nothing else; \`qa\`: greedy answer equals the true one; \`facts\`: the one
fact of three to six that fits.

The reader on the true images as the image tokenizer gives them back, which no generated image can beat:

${metricTable(report, (name) => name.startsWith('ceiling/'))}

## Training curves
${plots.map((name) => `![${name}](${name}.svg)`).join('\n\n')}

## Limits
It knows the mini world's closed vocabulary alone, and images of 64 x 64 pixels; it is for tests, tutorials and method
comparisons, and says nothing about the published model's quality.

${IMAGE_LICENSES}
`;
}

function files(folder: string): string {
  const size = (file: string) => `\`${file}\` ${(statSync(path.join(folder, file)).size / 1e6).toFixed(1)} MB`;
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const weights = names.filter((file) => file.endsWith('.safetensors')).sort();
  return weights.map(size).join(', ');
}
