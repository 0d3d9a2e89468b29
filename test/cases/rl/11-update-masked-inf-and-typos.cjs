#!/usr/bin/env node
// A policy step: what stands at masked places does not matter, and unknown names do not pass.
const { library, check, main, outcome } = require('./lib/library.cjs');
const { answer, negated, tablePolicy } = require('./lib/table-policy.cjs');

main(async () => {
  const { tf, startEngine, engine, rl } = library();
  await startEngine({ quiet: true });
  const update = (replay, logProbs, more = {}) =>
    outcome(async () => {
      const policy = tablePolicy([0.5, 0.5], replay);
      const optimizer = new engine.AdamW({ learningRate: 0.1 });
      const options = { aggregation: 'segment-mean', learningRate: 0.1, ...more };
      const metrics = await rl.trainStep(policy, undefined, [answer(logProbs, [1, 0])], [1], optimizer, options);
      return { loss: metrics.loss, weights: [...policy.w.dataSync()] };
    });
  for (const bad of [-Infinity, Infinity, NaN]) {
    for (const [name, given] of [
      ['replayed', update((w) => tf.add(negated(w), [[0, bad]]), [-0.5, -0.5])],
      ['recorded', update(negated, [-0.5, bad])],
    ]) {
      const { value, error } = await given;
      const right = Math.abs(value?.loss + 1) < 1e-6 && value.weights.every(Number.isFinite);
      check(`${bad} ${name} at a masked place: loss -1`, right, error?.message ?? JSON.stringify(value));
    }
  }
  for (const more of [
    { aggregation: 'segmentmean' },
    { lossType: 'grop' },
    { surrogate: 'ppo' },
    { importanceSamplingLevel: 'tokens' },
    { kl: 'k4' },
    { beta: NaN },
    { beta: -1 },
    { epsilon: NaN },
  ]) {
    const { value, error } = await update(negated, [-0.5, -0.5], more);
    const text = Object.entries(more)
      .map(([k, v]) => `${k} ${v}`)
      .join();
    check(`${text} is a RangeError`, error instanceof RangeError, error ?? `taken, loss ${value?.loss}`);
  }
});
