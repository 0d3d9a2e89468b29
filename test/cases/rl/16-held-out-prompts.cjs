#!/usr/bin/env node
// n held-out prompts are n different ones: a sample size counts no repetitions.
const { inner, library, check, main, outcome } = require('./lib/library.cjs');

main(async () => {
  const { Rng, miniworld } = library();
  const { heldOutItems } = inner('miniworld/concept-evaluation.js');
  for (const n of [96, 192]) {
    const items = heldOutItems(miniworld.findConcept('mira'), n, new Rng(1));
    // Where a fact is asked for, intervals are clustered by the prompt with its fact.
    const prompts = new Set(items.map(({ prompt, cluster = prompt }) => cluster));
    check(
      `n = ${n} held-out prompts are ${n} prompts`,
      prompts.size === n && items.length === n,
      `${items.length}, ${prompts.size} distinct ones: ${[...prompts].slice(0, 4).join('; ')}`,
    );
  }
  const { error } = await outcome(() => heldOutItems(miniworld.findConcept('mira'), 20_000, new Rng(1)));
  check('more than there are is an error that says how many there are', /\d+ distinct/.test(error?.message), error);
});
