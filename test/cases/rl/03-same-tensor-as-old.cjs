#!/usr/bin/env node
// policyLoss: old and reference log-probs that depend on the same variables (a forgotten detach) are constants by
// definition, and so are advantages.
const { library, check, main } = require('./lib/library.cjs');

main(async () => {
  const { tf, startEngine, rl } = library();
  await startEngine({ quiet: true });
  const x = tf.tensor2d([[-1, -2, -3]]);
  const weights = tf.fill([1, 3], 1 / 3);
  const common = { mask: tf.ones([1, 3]), weights, advantages: tf.tensor2d([[1]]) };
  const gradient = (batch, options = {}) => {
    const resolved = rl.resolveTrainStep(options);
    const loss = (l) => rl.policyLoss({ ...common, ...batch(l) }, resolved).loss;
    return Array.from(tf.grad(loss)(x).dataSync(), (v) => v.toFixed(4)).join(' ');
  };
  const right = gradient((logProbs) => ({ logProbs }));
  const same = gradient((logProbs) => ({ logProbs, oldLogProbs: logProbs }));
  check(`policyLoss with oldLogProbs = logProbs has the gradient ${right}`, same === right, same);
  const bothSides = (l) => {
    const options = rl.resolveTrainStep({ surrogate: 'none' });
    const side = { ...common, logProbs: l, oldLogProbs: l };
    return tf.add(rl.policyLoss(side, options).loss, rl.policyLoss(side, options).loss);
  };
  const corl = Array.from(tf.grad(bothSides)(x).dataSync(), (v) => v.toFixed(4)).join(' ');
  check(
    "CoRL's loss with it on both sides has the gradient -0.6667 -0.6667 -0.6667",
    corl === '-0.6667 -0.6667 -0.6667',
    corl,
  );
  const wrong = [];
  for (const importanceSamplingLevel of Object.keys(rl.importanceSamplingLevels)) {
    for (const surrogate of Object.keys(rl.surrogates)) {
      for (const kl of Object.keys(rl.klEstimates)) {
        const epsilonHigh = surrogate === 'cispo' ? 5 : 0.2;
        const options = { importanceSamplingLevel, surrogate, kl, epsilonHigh, beta: 0.1 };
        const held = gradient((logProbs) => ({ logProbs, oldLogProbs: x, refLogProbs: x }), options);
        const given = gradient(
          (logProbs) => ({
            logProbs,
            oldLogProbs: logProbs,
            refLogProbs: logProbs,
            advantages: tf.add(1, tf.sub(tf.sum(logProbs, 1, true), tf.sum(x))),
          }),
          options,
        );
        if (given !== held) wrong.push(`${importanceSamplingLevel}, ${surrogate}, ${kl}: ${given}, not ${held}`);
      }
    }
  }
  check('the same for every ratio, surrogate and KL, with reference and advantages too', wrong.length === 0, wrong);
});
