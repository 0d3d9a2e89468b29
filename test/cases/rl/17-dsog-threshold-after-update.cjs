#!/usr/bin/env node
// The threshold that a step reports, and that the tutorial draws as the line that candidates passed, is the one that they
// were compared with.
const { library, check, main } = require('./lib/library.cjs');

main(async () => {
  const { miniworld } = library();
  const options = { steps: 3, groupSize: 2, dsog: { batch: 6, mu: 2, targetPassRate: 0.5 }, subject: { steps: 1 } };
  const run = await miniworld.openSyncGrpo('mira', {
    options: { ...options, selfChecks: { stopAfterFlatGroups: null } },
  });
  for await (const { step, dsog, metrics } of run.steps()) {
    const above = dsog.scores.filter((score) => score > dsog.threshold).length;
    check(
      `step ${step}: the candidates above the reported threshold are those that passed`,
      above === dsog.passed && metrics['dsog/threshold'] === dsog.threshold && metrics['dsog/passed'] === above,
      `${dsog.passed} passed, ${above} of ${dsog.scores.length} are above ${dsog.threshold.toFixed(4)}`,
    );
  }
  await run.close();
});
