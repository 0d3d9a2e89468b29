/**
 * Whether a model can tell if something is there: shares of right answers by kind of question, about scenes of a split.
 *
 *   node --require ts-node/register/transpile-only scripts/results/presence.ts [--model FOLDER ...] [--split train|heldout] [--out FILE]
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Rng, startEngine } from '../../src/engine';
import { dataFolder } from '../../src/io/package-root';
import { writeFileAtomic } from '../../src/io/write-file';
import { nearQuestions, presenceQuestions } from '../../src/miniworld/questions';
import { renderScene } from '../../src/miniworld/render';
import { sampleScene } from '../../src/miniworld/scene';
import { loadSprites } from '../../src/miniworld/sprites';
import { IMAGE_SIZE } from '../../src/miniworld/world';
import { loadModel } from '../../src/models';

const [SCENES, SEED, BATCH] = [300, 2000, 64];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: {
        type: 'string',
        multiple: true,
        default: ['janus', 'chameleon', 'showo'].map((name) => dataFolder('checkpoints', `${name}-mini`)),
      },
      split: { type: 'string', default: 'train' },
      out: { type: 'string' },
    },
  });
  const split = values.split === 'heldout' ? 'heldout' : 'train';
  await startEngine();
  const sprites = await loadSprites();
  const asked = Array.from({ length: SCENES }, (_, i) => {
    const rng = new Rng(SEED).split('presence').split(i);
    const scene = sampleScene(rng, split);
    const image = { width: IMAGE_SIZE, height: IMAGE_SIZE, rgb: renderScene(scene, sprites) };
    const [own, far, kind] = presenceQuestions(scene, rng);
    const [, , color, object] = nearQuestions(scene, rng);
    if (!own) return [];
    const named = { own, far, [`kind, ${kind.solution}`]: kind, 'another color': color, 'another object': object };
    return Object.entries(named).map(([name, question]) => ({ name, image, ...question }));
  }).flat();
  const models: Record<string, Record<string, { right: number; n: number }>> = {};
  for (const folder of values.model) {
    const model = await loadModel(folder);
    const tally: Record<string, { right: number; n: number }> = {};
    for (let from = 0; from < asked.length; from += BATCH) {
      const part = asked.slice(from, from + BATCH);
      const requests = part.map(({ image, problem }, i) => ({
        prompt: model.prompt([image, problem], 'understand'),
        rng: new Rng(i),
      }));
      model.sampleText(requests, { maxNewTokens: 4, temperature: 0 }).forEach(({ text }, i) => {
        const one = (tally[part[i].name] ??= { right: 0, n: 0 });
        one.n++;
        if (text.trim() === part[i].solution) one.right++;
      });
    }
    model.dispose();
    models[path.basename(folder)] = tally;
    console.log(path.basename(folder), JSON.stringify(tally));
  }
  const command = `node --require ts-node/register/transpile-only scripts/results/presence.ts --split ${split}`;
  if (values.out)
    await writeFileAtomic(values.out, `${JSON.stringify({ command, seed: SEED, split, models }, null, 1)}\n`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
