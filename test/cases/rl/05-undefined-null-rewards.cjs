#!/usr/bin/env node
// A reward is null or undefined: it abstains (JSON writes NaN as null).
const { library, check, main, outcome } = require('./lib/library.cjs');

main(async () => {
  const { rewards, rl } = library();
  for (const missing of [null, undefined]) {
    const { value, error } = await outcome(() => rl.groupAdvantages('dr_grpo', [[missing, 1, 2, 3]]));
    const right =
      error instanceof RangeError ||
      (value?.advantages[0] === 0 && value.advantages.every(Number.isFinite) && value.nanRewards === 1);
    check(
      `a reward of ${missing} counts as missing (advantage 0, nanRewards 1), or is a RangeError`,
      right,
      JSON.stringify(value) ?? error?.message,
    );
    const columns = [
      { weight: 1, groups: [[missing, 1, 2]] },
      { weight: 1, groups: [[3, 3, 3]] },
    ];
    for (const order of ['sum-then-normalize', 'normalize-then-sum']) {
      const sum = await outcome(() => rl.combinedAdvantages('grpo', columns, { order }));
      const fine = sum.value?.advantages.every(Number.isFinite);
      check(`${order}: a part of ${missing} is left out of the sum`, fine, JSON.stringify(sum.value ?? sum.error));
    }
    const metrics = rl.rewardMetrics([[missing, 1, 3]], { a: [missing, 1, 3] });
    check(
      `metrics: ${missing} is in no mean, and counted`,
      metrics.reward === 2 && metrics['rewards/a/mean'] === 2 && metrics['rewards/a/failed'] === 1,
      JSON.stringify(metrics),
    );
  }
  const good = { reward: rewards.defineReward('b', [0, 1], () => [{ value: 0.5 }]), weight: 1 };
  for (const [name, results] of [
    ['an undefined value', [{}]],
    ['a null value', [{ value: null }]],
    ['an undefined result', [undefined]],
    ['a plain null', [null]],
  ]) {
    const bad = { reward: rewards.defineReward('a', [0, 1], () => results), weight: 1 };
    const { value, error } = await outcome(async () => (await rewards.weightedSum([bad, good], [{}]))[0]);
    const found = error ? `throws: ${error.message}` : JSON.stringify(value);
    check(
      `${name} of one scorer leaves the sum 0.5, with a reason`,
      value?.value === 0.5 && Boolean(value.reason),
      found,
    );
  }
  const short = { reward: rewards.defineReward('a', [0, 1], () => []), weight: 1 };
  const { error } = await outcome(() => rewards.weightedSum([short, good], [{}]));
  check('a list of another length is an error that names the scorer', /'a'/.test(error?.message), error);
});
