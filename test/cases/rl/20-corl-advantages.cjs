#!/usr/bin/env node
// CoRL's advantages of R_cycle + R_TIM + 0.8 (R_acc + R_format): a list that is one short, and one scorer that failed for
// one sample (left out of the sum, as everywhere else).
const { library, check, main, outcome } = require('./lib/library.cjs');

main(async () => {
  const { rl } = library();
  const lists = { cycle: [[1, 2, 3]], tim: [[0, 0, 0]], acc: [[0, 1, 0]], format: [[1, 1, 1]] };
  const weights = { cycle: 1, tim: 1, acc: 0.8, format: 0.8 };
  const joint = (given, options) => {
    const columns = Object.entries(given).map(([name, groups]) => ({ groups, weight: weights[name] }));
    return outcome(() => rl.combinedAdvantages('grpo', columns, options).advantages);
  };
  for (const order of ['sum-then-normalize', 'normalize-then-sum']) {
    const short = await joint({ ...lists, format: [[1, 1]] }, { order });
    check(`${order}: a list of another length is a RangeError`, short.error instanceof RangeError, short.value);
    const failed = (await joint({ ...lists, tim: [[0, 0, NaN]] }, { order })).value;
    const whole = (await joint(lists, { order })).value;
    // TIM gives all samples the same: without it the sums, and the advantages, are what they were.
    const kept = failed?.every((a, i) => Math.abs(a - whole[i]) < 1e-9);
    check(`${order}: a sample with one failed score keeps the sum of the others`, kept, failed);
  }
  const { value } = await joint({ ...lists, tim: [[0, 0, NaN]] });
  check('it is above 0.5', value[2] > 0.5, value);
});
