/** README.md of Show-o mini's checkpoint, from its evaluation and its training curves. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { HELD_OUT_COMBINATIONS } from '../../data';
import { MAGVIT_MINI } from '../../models/showo/mini';
import { SHOWO_RECIPE, TOKENIZER_RECIPE, WIDE_TOKENIZER_RECIPE } from '../../recipes/mini-world';
import { metricTable, PICTURE_LICENCES, spent } from './cards';
import { readCurve, saveCurve } from './curve';
import type { EvalReport } from './metrics';

/** The tokenizer's two trainings; the second starts from the first and adds bits. */
const TOKENIZER_STAGES = [
  ['tokenizer-narrow', TOKENIZER_RECIPE],
  ['tokenizer', WIDE_TOKENIZER_RECIPE],
] as const;

/**
 * Writes README.md, eval.json, curve.json and curve.svg (and those of the tokenizer's trainings where their curves are).
 * @param curveFile the curve of `unilab train showo`
 * @param training folder with one folder for each stage, as `unilab train` leaves it
 */
export async function writeModelCard(
  folder: string,
  report: EvalReport,
  curveFile: string,
  training: string,
): Promise<void> {
  const curve = await readCurve(curveFile);
  await saveCurve(folder, 'curve', curve, 'Show-o mini', ['t2i', 'mmu', 'lm']);
  const commands: string[] = [];
  const plots = ['curve'];
  for (const [stage, recipe] of TOKENIZER_STAGES) {
    const file = path.join(training, stage, 'curve.jsonl');
    const own = existsSync(file) ? await readCurve(file) : undefined;
    commands.push(
      `\`bin/unilab train ${stage}\`: seed ${recipe.seed}, ${own ? `${own.steps} steps, ${spent(own.seconds)}` : `${recipe.steps} steps`}`,
    );
    if (!own) continue;
    await saveCurve(folder, `${stage}-curve`, own, `image tokenizer (${stage})`, ['l1', 'l2']);
    plots.push(`${stage}-curve`);
  }
  commands.push(`\`bin/unilab train showo\`: seed ${SHOWO_RECIPE.seed}, ${curve.steps} steps, ${spent(curve.seconds)}`);
  await writeFileAtomic(path.join(folder, 'eval.json'), `${JSON.stringify(report, null, 2)}\n`);
  const { steps, guidanceScale, temperature, split } = report.settings ?? {};
  const heldOut = HELD_OUT_COMBINATIONS.map((c) => `${c.colour} ${c.object}`).join(', ');
  const card = `# Show-o mini

The Show-o class of this repository (\`src/models/showo\`) at a size that two CPU cores train: 64 x 64 pictures as 8 x 8 codes of ${MAGVIT_MINI.codebook_dim}
bits (look-up-free quantisation), a transformer with Phi-1.5's blocks over one vocabulary of words and codes.

${commands.map((line) => `- ${line}.`).join('\n')}
- Two CPU cores, bf16 matrix products. Hyper-parameters: \`src/recipes/mini-world.ts\`. Both go on where they were stopped.
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
