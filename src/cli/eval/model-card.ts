/** README.md of Show-o mini's checkpoint, from its evaluation and its training curves. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { HELD_OUT_COMBINATIONS } from '../../data';
import { MAGVIT_MINI } from '../../models/showo/mini';
import { STAGES } from '../train/stages';
import { metricTable, PICTURE_LICENCES, spent } from './cards';
import { readCurve, saveCurve } from './curve';
import type { EvalReport } from './metrics';

/** Stages in the order in which they were run, and the losses to draw. */
const HISTORY: readonly (readonly [stage: string, losses: readonly string[]])[] = [
  ['tokenizer-narrow', ['l1', 'l2']],
  ['tokenizer-wide', ['l1', 'l2']],
  ['showo-wide', ['t2i', 'mmu', 'lm']],
  ['tokenizer', ['l1', 'l2']],
  ['showo', ['t2i', 'mmu', 'lm']],
  ['showo-bits', ['t2i', 'mmu', 'lm']],
  ['showo-more', ['t2i', 'mmu', 'lm']],
  ['showo-finish', ['t2i', 'mmu', 'lm']],
];

/**
 * Writes README.md, eval.json, and curve-STAGE.json and curve-STAGE.svg of every stage whose curve is there.
 * @param training folder with one folder for each stage, as `unilab train` leaves it
 * @throws Error when there is no curve of the stage `showo`
 */
export async function writeModelCard(folder: string, report: EvalReport, training: string): Promise<void> {
  const commands: string[] = [];
  const plots: string[] = [];
  for (const [stage, losses] of HISTORY) {
    const file = path.join(training, stage, 'curve.jsonl');
    if (!existsSync(file) || !(stage in STAGES)) {
      if (stage === 'showo')
        throw new Error(`the card needs the training curve; there is none at ${file} (--training FOLDER)`);
      continue;
    }
    const curve = await readCurve(file);
    await saveCurve(folder, `curve-${stage}`, curve, stage, losses);
    commands.push(
      `\`bin/unilab train ${stage}\`: seed ${STAGES[stage].recipe.seed}, ${curve.steps} steps, ${spent(curve.seconds)}`,
    );
    plots.push(`curve-${stage}`);
  }
  await writeFileAtomic(path.join(folder, 'eval.json'), `${JSON.stringify(report, null, 2)}\n`);
  const { steps, guidanceScale, temperature, split } = report.settings ?? {};
  const heldOut = HELD_OUT_COMBINATIONS.map((c) => `${c.colour} ${c.object}`).join(', ');
  const card = `# Show-o mini

The Show-o class of this repository (\`src/models/showo\`) at a size that two CPU cores train: 64 x 64 pictures as 8 x 8 codes of ${MAGVIT_MINI.codebook_dim}
bits (look-up-free quantisation), a transformer with Phi-1.5's blocks over one vocabulary of words and codes.

${commands.map((line) => `- ${line}.`).join('\n')}
- \`tokenizer-narrow\` and \`tokenizer-wide\` were run on an earlier form of the scenes (figures of 24 to 40 pixels on a lattice of
  4 pixels; now they stand on the cells of the code grid), so running them again gives other weights.
- Two CPU cores, bf16 matrix products. Hyper-parameters: \`src/recipes/mini-world.ts\`. Each stage goes on where it was stopped.
- Files: ${files(folder)}.

## Data
Scenes of the mini world (\`src/data\`), drawn anew for every batch: captions, questions with answers, and facts to be read in
context. Twelve (object, colour) combinations occur in no training picture, caption, question or fact: ${heldOut}.

## Held-out scores
\`bin/unilab eval mini-world --n ${report.n} --seed ${report.seed}\`, split \`${split}\`: every scene has a combination that training never showed.
Pictures: ${steps} MaskGIT steps, guidance ${guidanceScale}, temperature ${temperature}, read by the independent scene reader
(\`data/checkpoints/scene-reader\`). A picture counts as right only when *every* figure that the caption names is.

${metricTable(report, (name) => !name.startsWith('ceiling/'))}

\`object\`: every kind of figure is there; \`colour\`: each in its colour; \`count\`: as many as asked; \`position\`: where the caption says
(where it says so); \`ground\`; \`exact\`: all of it and nothing else; \`qa\`: greedy answer equals the true one; \`facts\`: the one
fact of three to six that fits.

The reader on the true pictures as the image tokenizer gives them back, which no generated picture can beat:

${metricTable(report, (name) => name.startsWith('ceiling/'))}

## Training curves
${plots.map((name) => `![${name}](${name}.svg)`).join('\n\n')}

## Limits
It knows the mini world's closed vocabulary alone, and pictures of 64 x 64 pixels; it is for tests, tutorials and method
comparisons, and says nothing about the published model's quality.

${PICTURE_LICENCES}
`;
  await writeFileAtomic(path.join(folder, 'README.md'), card);
}

function files(folder: string): string {
  const size = (file: string) => `\`${file}\` ${(statSync(path.join(folder, file)).size / 1e6).toFixed(1)} MB`;
  return readdirSync(folder).filter((file) => file.endsWith('.safetensors')).map(size).join(', '); // prettier-ignore
}
