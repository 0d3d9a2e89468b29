#!/usr/bin/env node
// completions/mean_length is TRL's name for sampled tokens.
const { library, check, main } = require('./lib/library.cjs');

main(async () => {
  const { miniworld } = library();
  for (const understanding of [true, false]) {
    const more = { text: { maxNewTokens: 5 }, dsog: { enabled: false }, subject: { steps: 1 } };
    const run = await miniworld.openSyncGrpo('mira', { options: { steps: 1, groupSize: 2, understanding, ...more } });
    for await (const { metrics, samples } of run.steps()) {
      const lengths = samples.flatMap(({ reasoning }) => reasoning?.transitions.map((t) => t.sampledIds.length) ?? []);
      const tokens = lengths.length > 0 ? lengths.reduce((a, b) => a + b) / lengths.length : 0;
      const logged = metrics['completions/mean_length'];
      check(
        understanding
          ? `the mean length is that of the sampled tokens, ${tokens}`
          : 'without any reasoning it is 0, or not logged',
        understanding ? tokens > 0 && Math.abs(logged - tokens) < 1e-6 : !logged,
        logged,
      );
    }
    await run.close();
  }
});
