#!/usr/bin/env node
// Sums of large rewards: rounding does not make equal rewards unequal, and overflow makes neither NaN nor silent zeros.
const { library, check, main, outcome } = require('./lib/library.cjs');

main(async () => {
  const { rl } = library();
  const of = (rewards, kind = 'grpo') => outcome(() => rl.groupAdvantages(kind, [rewards]));
  for (const r of [1e30, 1e16 / 3, 0.1, -1e-320]) {
    for (const kind of ['grpo', 'dr_grpo', 'rloo']) {
      const { value } = await of([r, r, r], kind);
      check(
        `${kind}: three rewards of ${r}: advantages 0, fracZeroStd 1`,
        value?.fracZeroStd === 1 && value.advantages.every((a) => a === 0),
        JSON.stringify(value),
      );
    }
  }
  for (const rewards of [
    [1.7e308, 1.7e308, 0],
    [1e200, 0, 0],
  ]) {
    const { value, error } = await of(rewards);
    check(
      `rewards ${rewards}: advantages as of the same rewards made smaller, or a RangeError`,
      error instanceof RangeError || (value.advantages[0] > 0.5 && value.advantages.every(Number.isFinite)),
      JSON.stringify(value) ?? error?.message,
    );
  }
});
