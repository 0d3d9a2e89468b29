/**
 * What an image tokenizer lets through of MM-R1's held-out subjects: true images, read by the detector as they are and after
 * they went through the tokenizer. No policy that draws with it can be better.
 *
 *   node --require ts-node/register/transpile-only scripts/results/ceiling.ts [--model FOLDER] [--seed N] [--out FILE]
 */
import { parseArgs } from 'node:util';
import { Rng, startEngine } from '../../src/engine';
import { dataFolder } from '../../src/io/package-root';
import { writeFileAtomic } from '../../src/io/write-file';
import { type Image } from '../../src/io';
import { MiniXcotTask } from '../../src/miniworld/xcot-task';
import { decodeImages, loadModel } from '../../src/models';

/** Four for each of 32 subjects, as an evaluation has. */
const COUNT = 128;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: { type: 'string', default: dataFolder('checkpoints', 'chameleon-mini-xcot') },
      seed: { type: 'string', default: '101' },
      out: { type: 'string' },
    },
  });
  await startEngine();
  const [model, task] = [await loadModel(values.model), await MiniXcotTask.open()];
  const examples = task.heldOut(COUNT, new Rng(Number(values.seed)).split('ceiling'));
  const real = examples.map((example) => task.targetOf(example));
  const back = await decodeImages(model, model.imageTokenizer.encode(real));
  const means = (images: readonly Image[]) => {
    const rows = task.assess(examples.map((example, i) => ({ example, image: images[i] })));
    const names = Object.keys(rows[0]);
    return Object.fromEntries(
      names.map((name) => {
        const there = rows.flatMap((row) => (name in row ? [row[name]] : []));
        return [name, Number((there.reduce((sum, value) => sum + value, 0) / there.length).toFixed(4))];
      }),
    );
  };
  const report = { prompts: COUNT, seed: Number(values.seed), real: means(real), tokenized: means(back) };
  console.log(JSON.stringify(report, null, 1));
  if (values.out) await writeFileAtomic(values.out, `${JSON.stringify(report, null, 1)}\n`);
  task.dispose();
  model.dispose();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
