#!/usr/bin/env node
// All samples of a scorer failed: no number was measured, so none is logged.
const { library, check, main } = require('./lib/library.cjs');

main(() => {
  const metrics = library().rl.rewardMetrics([[NaN, NaN]], { tier: [NaN, NaN] });
  for (const name of ['reward', 'reward_std', 'rewards/tier/mean', 'rewards/tier/std'])
    check(
      `${name} of failed samples alone is NaN, or not logged`,
      metrics[name] === undefined || Number.isNaN(metrics[name]),
      metrics[name],
    );
});
