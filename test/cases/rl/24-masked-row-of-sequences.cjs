#!/usr/bin/env node
// A row that is masked as a whole (a truncated completion) adds nothing to the loss, whatever its advantage.
const { library, check, main } = require('./lib/library.cjs');
const { answer, negated, tablePolicy } = require('./lib/table-policy.cjs');

main(async () => {
  const { tf, startEngine, engine, rl } = library();
  await startEngine({ quiet: true });
  const logProbs = tf.tensor2d([
    [-1, -2],
    [-1, -2],
  ]);
  const mask = tf.tensor2d([
    [1, 1],
    [0, 0],
  ]);
  const batch = {
    logProbs,
    oldLogProbs: logProbs,
    mask,
    weights: tf.ones([2, 2]),
    advantages: tf.tensor2d([[0], [5]]),
  };
  for (const importanceSamplingLevel of Object.keys(rl.importanceSamplingLevels)) {
    const options = rl.resolveTrainStep({ importanceSamplingLevel });
    const loss = rl.policyLoss(batch, options).loss.dataSync()[0];
    check(
      `${importanceSamplingLevel}: the masked row (A = 5) adds nothing: the loss is 0`,
      Math.abs(loss) < 1e-6,
      loss,
    );
    for (const aggregation of Object.keys(rl.aggregations)) {
      const more = { importanceSamplingLevel, aggregation, maxCompletionLength: 4, learningRate: 0.1 };
      const { loss: inTraining } = await rl.trainStep(
        tablePolicy([1, 2], negated),
        undefined,
        [answer([-1, -2]), answer([-1, -2], [0, 0])],
        [0, 5],
        new engine.AdamW({ learningRate: 0.1 }),
        more,
      );
      check(`${importanceSamplingLevel}, ${aggregation}: nor in training`, Math.abs(inTraining) < 1e-6, inTraining);
    }
  }
});
