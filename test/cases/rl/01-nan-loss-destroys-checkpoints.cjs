#!/usr/bin/env node
// Supervised training, one batch with a NaN: it stops before the weights change, and never saves over good checkpoints.
const { library, check, main } = require('./lib/library.cjs');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

main(async () => {
  const { tf, startEngine, sft } = library();
  await startEngine({ quiet: true });
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'case-'));
  const savedIn = (name) => (fs.existsSync(path.join(folder, name)) ? fs.readdirSync(path.join(folder, name)) : []);
  const run = async (poisoned, lossOf = ({ x }, w) => tf.sum(tf.square(tf.mul(w, x)))) => {
    const w = tf.variable(tf.tensor1d([1, 2]));
    const task = {
      name: 'toy',
      variables: { w },
      batch: (step) => ({ x: tf.tensor1d(step === poisoned ? [NaN, 1] : [1, 1]) }),
      loss: (batch) => ({ loss: lossOf(batch, w), metrics: {} }),
    };
    let last = 0;
    let message;
    try {
      for await (const report of sft.trainSupervised(task, { steps: 20, seed: 1, folder, checkpointEvery: 3 }))
        last = report.step;
    } catch (error) {
      ({ message } = error);
    }
    return { last, message, weights: [...w.dataSync()], saved: savedIn('checkpoints').join(' ') };
  };
  const bad = await run(7);
  check('the run with the bad batch stops with an error', bad.message !== undefined, 'no error');
  check('its weights are numbers when it has stopped', bad.weights.every(Number.isFinite), bad.weights);
  const again = await run(6);
  check('so does the first step after a resume', again.message !== undefined && again.last === 0, `step ${again.last}`);
  // The square root's slope at 0 is infinite, times 0 it is NaN: a finite loss without a gradient.
  const noGradient = await run(-1, (_, w) => tf.sum(tf.sqrt(tf.mul(w, 0))));
  check('a NaN gradient of a finite loss stops it as well', /gradient/.test(noGradient.message), noGradient.message);
  const mended = await run(-1);
  check(
    'with the data mended, the same command goes on from a good checkpoint and ends at step 20',
    mended.last === 20 && mended.weights.every(Number.isFinite),
    `last good step ${mended.last}; checkpoints ${mended.saved}; ${mended.message}`,
  );
  fs.rmSync(folder, { recursive: true });
});
