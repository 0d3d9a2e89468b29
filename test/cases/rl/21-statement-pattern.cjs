#!/usr/bin/env node
// An answer of the model with $& or $' in it stands in the compound prompt as it was given: it is no pattern.
const { inner, check, main } = require('./lib/library.cjs');

main(() => {
  const { compoundPrompt } = inner('data/personalization.js');
  for (const style of ['plain', 'spaced']) {
    for (const answer of ["$& or $'", '$1 $$ $` \\1', '<sks> ${answer}']) {
      const compound = compoundPrompt('a photo of <sks>', answer, style);
      check(
        `${style}: the answer ${answer} stands in the compound prompt as it was given`,
        compound.includes(answer),
        compound,
      );
    }
  }
});
