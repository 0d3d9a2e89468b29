#!/usr/bin/env node
// A policy step that throws leaves no tensor behind: a long run that catches errors does not run out of memory.
const { library, check, main, outcome } = require('./lib/library.cjs');
const { answer, negated, tablePolicy } = require('./lib/table-policy.cjs');

main(async () => {
  const { tf, startEngine, engine, rl } = library();
  await startEngine({ quiet: true });
  const optimizer = new engine.AdamW({ learningRate: 0 });
  const options = { aggregation: 'segment-mean', beta: 0.1, learningRate: 0, numIterations: 2 };
  const fails = (policy) => ({
    ...policy,
    replay: () => {
      throw new Error('no memory');
    },
  });
  const policy = tablePolicy([0.5, 0.5], negated);
  const reference = tablePolicy([0.5, 0.5], negated);
  const nan = { ...policy, replay: (rows) => tf.tidy(() => tf.mul(policy.replay(rows), NaN)) };
  const update = (own, other, more) =>
    outcome(() => rl.trainStep(own, other, [answer([-0.5, -0.5])], [1], optimizer, { ...options, ...more }));
  const { error } = await update(policy, reference, {});
  check('the plain step is taken', error === undefined, error);
  for (const [name, own, other, more] of [
    ['replay throws', fails(policy), reference],
    ["the reference's replay throws", policy, fails(reference)],
    ['a NaN log-prob', nan, reference],
    ['an unknown kl', policy, reference, { kl: 'k4' }],
    ['maxGradNorm 0', policy, reference, { maxGradNorm: 0 }],
    ['a replay of another shape', { ...policy, replay: () => tf.zeros([1, 3]) }, reference],
  ]) {
    const before = tf.memory().numTensors;
    let thrown = 0;
    for (let i = 0; i < 10; i++) if ((await update(own, other, more)).error) thrown++;
    const left = tf.memory().numTensors - before;
    check(
      `${name}, ten times: no tensor is left`,
      left === 0 && thrown === 10,
      `${left} tensors; threw ${thrown} times`,
    );
  }
});
