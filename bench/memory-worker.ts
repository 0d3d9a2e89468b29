/** A training that goes on and on, in a process of its own: its resident memory is what is measured. */
import { type Precision, Rng, startEngine, tf, traceReports, withoutTracing } from '../src/engine';
import { IMAGE_SIZE, loadSprites } from '../src/miniworld';
import { miniText, sceneSource } from '../src/miniworld/curricula/scenes';
import { showoRows, showoTask } from '../src/miniworld/curricula/showo-task';
import { ShowoModel } from '../src/models/showo/model';
import { trainSupervised } from '../src/sft/loop';
import { BENCH_TRAINING, shippedImageTokenizer } from './inputs';
import { type Answer, serveLines } from './line-worker';
import { residentBytes } from './resident';
import { showoOf, sizesFor } from './sizes';

const MODEL = '6M';

/** Serves `steps` (how many, and whether traced) until stdin ends. */
export async function serveMemory(precision: Precision): Promise<void> {
  const report = await startEngine({ precision, quiet: true });
  const text = miniText();
  const config = showoOf(MODEL, text);
  const model = ShowoModel.random(config, await shippedImageTokenizer(), text.text, new Rng(1));
  const source = sceneSource(await loadSprites(), text.text, 'train');
  const options = { ...sizesFor(MODEL, false), size: IMAGE_SIZE, weights: BENCH_TRAINING.weights };
  const { weightDecay, beta2, learningRate } = BENCH_TRAINING;
  const settings = { steps: 1e9, warmupSteps: 0, learningRate, weightDecay, beta2, seed: 1 };
  const task = showoTask(model, source, options);
  const loop = trainSupervised(task, settings);
  // Codes of images are made by an operation that no step has: it is loaded before anything is measured.
  showoRows(model, source, { ...options, images: 1, asked: 1, texts: 1 }, new Rng(2));
  await serveLines(async ({ steps, traced }): Promise<Answer> => {
    const before = residentBytes().peak;
    const train = async () => {
      for (let i = 0; i < Number(steps); i++) await loop.next();
    };
    await (traced === false ? withoutTracing(train) : train());
    const { now, peak } = residentBytes();
    const { numTensors } = tf.memory();
    return { now, peak, grown: peak - before, numTensors, compiled: traceReports(), engine: report.library };
  });
}
