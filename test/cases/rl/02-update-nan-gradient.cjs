#!/usr/bin/env node
// A policy step whose loss is finite and whose gradient is NaN (square root at 0) or infinite.
const { library, check, main, outcome } = require('./lib/library.cjs');
const { answer, tablePolicy } = require('./lib/table-policy.cjs');

main(async () => {
  const { tf, startEngine, engine, rl } = library();
  await startEngine({ quiet: true });
  const options = { aggregation: 'segment-mean', learningRate: 0.1, selfChecks: { ratio: false } };
  const update = (policy, recorded) =>
    outcome(() =>
      rl.trainStep(policy, undefined, [answer(recorded)], [1], new engine.AdamW({ learningRate: 0.1 }), options),
    );
  const root = tablePolicy([0.5, 0.5], (w) => tf.neg(tf.expandDims(tf.add(tf.sqrt(tf.mul(w, [1, 0])), 0.2), 0)));
  const overflowing = tablePolicy([0.5, 0], (w) => tf.neg(tf.expandDims(tf.add(tf.sqrt(w), 0.2), 0)));
  for (const [name, policy, recorded] of [
    ['NaN', root, [-0.9, -0.2]],
    ['infinite', overflowing, [-0.9, -0.2]],
  ]) {
    const before = policy.w.dataSync().join();
    const { value, error } = await update(policy, recorded);
    check(
      `${name}: an Error says that the gradient is not finite`,
      error !== undefined && /gradient/i.test(error.message),
      value ? `no error; loss ${value.loss}, grad_norm ${value.grad_norm}` : error.message,
    );
    check(`${name}: the weights stay as they were`, policy.w.dataSync().join() === before, policy.w.dataSync());
  }
});
