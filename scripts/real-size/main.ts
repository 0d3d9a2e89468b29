/**
 * Do the recipes start on checkpoints of real size? Random weights in the published layout, LoRA of rank 8, blocks
 * computed again for the gradient, one step; minutes and memory are printed.
 *
 *   node --require ts-node/register/transpile-only scripts/real-size/main.ts --model NAME [--small] [--out FILE] [--folder DIR]
 *
 *   --model NAME   showo-1.3b (Sync-GRPO), janus-pro-1b (CoRL) or chameleon-tenth (MM-R1; Chameleon-7B's layout at a tenth
 *                  of its width)
 *   --small        about a hundredth of the size, to see that everything works
 *   --out FILE     the report is put into this JSON file, beside those of other models
 *   --folder DIR   where the checkpoint is written, and removed afterwards (default: the system's temporary folder)
 */
import { parseArgs } from 'node:util';
import { MODELS, realSizeStep } from './real-size';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    small: { type: 'boolean', default: false },
    out: { type: 'string' },
    folder: { type: 'string' },
  },
});

async function main(): Promise<void> {
  const { model = '', small, out, folder } = values;
  if (!(model in MODELS)) throw new RangeError(`--model is ${Object.keys(MODELS).join(', ')}, got '${model}'`);
  const report = await realSizeStep(model as keyof typeof MODELS, { size: small ? 'small' : 'published', out, folder });
  console.log(JSON.stringify(report, null, 2));
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
