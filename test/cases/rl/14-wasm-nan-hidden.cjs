#!/usr/bin/env node
// NaN log-probs at a place that counts, on the wasm engine, whose clip turns NaN into the bound.
process.env.UNILAB_ENGINE = 'wasm';
const { library, check, main, outcome } = require('./lib/library.cjs');
const { answer, negated, tablePolicy } = require('./lib/table-policy.cjs');

main(async () => {
  const { tf, startEngine, engine, rl } = library();
  await startEngine({ quiet: true });
  const hidden = (w) => tf.add(negated(w), [[0, NaN]]);
  const options = { aggregation: 'segment-mean', beta: 0.1, learningRate: 0.1, oldLogProbs: 'sampled' };
  for (const [name, policy, reference, recorded] of [
    ['replayed', hidden, negated, [-0.5, -0.5]],
    ['recorded', negated, negated, [-0.5, NaN]],
    ["the reference's", negated, hidden, [-0.5, -0.5]],
  ]) {
    const own = tablePolicy([0.5, 0.5], policy);
    const other = tablePolicy([0.5, 0.5], reference);
    const optimizer = new engine.AdamW({ learningRate: 0.1, weightDecay: 0 });
    const { value, error } = await outcome(() =>
      rl.trainStep(own, other, [answer(recorded)], [1], optimizer, {
        ...options,
        numIterations: 2,
        selfChecks: { ratio: false },
      }),
    );
    check(
      `${tf.getBackend()}: a policy step with a NaN log-prob, ${name}, is an error`,
      error !== undefined,
      `loss ${value?.loss}, kl ${value?.kl}: the step was taken`,
    );
    const weights = own.w.dataSync().join();
    check('and the weights stay as they were', weights === '0.5,0.5', weights);
  }
  const batch = {
    logProbs: tf.tensor2d([[-1, NaN]]),
    oldLogProbs: tf.tensor2d([[-1, -1]]),
    mask: tf.ones([1, 2]),
    weights: tf.ones([1, 2]),
    advantages: tf.tensor2d([[1]]),
  };
  const loss = await outcome(() => rl.policyLoss(batch, rl.resolveTrainStep({})).loss.dataSync()[0]);
  check(`${tf.getBackend()}: policyLoss of it is NaN, or an error`, loss.error || Number.isNaN(loss.value), loss.value);
});
