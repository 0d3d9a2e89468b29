#!/usr/bin/env node
// The sampler records the log-probs that imageLogProbs asks for, so that they are replayed with the weights that sampled
// (float32): one step of the recipe.
process.env.UNILAB_PRECISION = 'float32';
const { library, check, main } = require('./lib/library.cjs');

main(async () => {
  const { miniworld } = library();
  for (const imageLogProbs of ['guided', 'conditional']) {
    const options = {
      steps: 1,
      groupSize: 2,
      dsog: { enabled: false },
      image: { imageLogProbs },
      subject: { steps: 1 },
    };
    // The check of ratios would stop the step before it could be looked at.
    const run = await miniworld.openSyncGrpo('mira', { options: { ...options, selfChecks: { ratio: false } } });
    for await (const { metrics } of run.steps()) {
      const worst = metrics['sampling/sampling_logp_difference/max'];
      check(
        `imageLogProbs '${imageLogProbs}': with unchanged weights the ratio is 1 to 1e-3`,
        worst < 1e-3,
        `the log-probs differ by up to ${worst}, a ratio of ${Math.exp(worst).toFixed(1)} or its inverse`,
      );
    }
    await run.close();
  }
});
