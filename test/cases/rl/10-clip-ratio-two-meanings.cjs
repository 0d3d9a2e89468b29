#!/usr/bin/env node
// A ratio of 1.65 with A = -1 is not clipped by PPO: clip_ratio counts where the clip cuts, in the loss and in training.
const { library, check, main } = require('./lib/library.cjs');
const { answer, negated, tablePolicy } = require('./lib/table-policy.cjs');

main(async () => {
  const { tf, startEngine, engine, rl } = library();
  await startEngine({ quiet: true });
  const unchecked = { oldLogProbs: 'sampled', selfChecks: { ratio: false, zeroGradient: false } };
  const options = { aggregation: 'seq-mean-token-sum', learningRate: 1e-3, ...unchecked };
  const batch = {
    logProbs: tf.tensor2d([[-0.5]]),
    oldLogProbs: tf.tensor2d([[-1]]),
    mask: tf.ones([1, 1]),
    weights: tf.ones([1, 1]),
  };
  for (const [advantage, right] of [
    [-1, 0],
    [1, 1],
  ]) {
    const optimizer = new engine.AdamW({ learningRate: 1e-3 });
    const update = await rl.trainStep(
      tablePolicy([0.5], negated),
      undefined,
      [answer([-1])],
      [advantage],
      optimizer,
      options,
    );
    const { metrics } = rl.policyLoss({ ...batch, advantages: tf.tensor2d([[advantage]]) }, rl.resolveTrainStep({}));
    const [a, b] = [
      update['clip_ratio/region_mean'],
      metrics.clippedLow.dataSync()[0] + metrics.clippedHigh.dataSync()[0],
    ];
    check(
      `A = ${advantage}: clip_ratio/region_mean is ${right} in both`,
      a === right && b === right,
      `trainStep ${a} (grad_norm ${update.grad_norm}), policyLoss ${b}`,
    );
  }
});
