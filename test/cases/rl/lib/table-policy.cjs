/** A policy without a network, and trajectories to go with it: what a policy step does to a few numbers. */
'use strict';
const { library } = require('./library.cjs');

/** One answer. @param logProbs recorded ones @param mask 1 at tokens that are scored; default all */
function answer(logProbs, mask = logProbs.map(() => 1)) {
  const transition = {
    segment: 'understanding',
    sampledIds: new Int32Array(logProbs.length),
    logProbs: Float32Array.from(logProbs),
    actionMask: Uint8Array.from(mask),
  };
  return { segments: [{ name: 'understanding', text: '', finished: true, transitions: [transition] }] };
}

/** Log-probs are `replay(w)`, `[1, tokens]` for each transition. @param weights of the one variable w */
function tablePolicy(weights, replay) {
  const { tf } = library();
  const w = tf.variable(tf.tensor1d(weights));
  const rows = (transitions) => tf.tidy(() => tf.tile(replay(w), [transitions.length, 1]));
  return { w, variables: () => ({ w }), replay: rows };
}

/** The replay of a policy whose log-probs are -w. */
const negated = (w) => library().tf.expandDims(library().tf.neg(w), 0);

module.exports = { answer, tablePolicy, negated };
