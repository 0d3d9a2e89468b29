#!/usr/bin/env node
// l2Normalize: the gradient at a row of zeros is finite, as torch's F.normalize has it.
const { inner, library, check, main } = require('./lib/library.cjs');

main(async () => {
  const { tf, startEngine } = library();
  const { l2Normalize } = inner('nn/vqgan-codebook.js');
  await startEngine({ quiet: true });
  const gradientAt = (x) => [
    ...tf
      .grad((row) => tf.sum(tf.mul(l2Normalize(row), [[1, 2]])))(tf.tensor2d([x]))
      .dataSync(),
  ];
  const gradient = gradientAt([0, 0]);
  check('the gradient of l2Normalize at a zero row is finite', gradient.every(Number.isFinite), gradient);
  // d/dx of (x1 + 2 x2) / |x| at (3, 4): (g - n (n . g)) / |x| with n = (0.6, 0.8), n . g = 2.2.
  const [a, b] = gradientAt([3, 4]);
  check('elsewhere it is as before', Math.abs(a + 0.064) < 1e-5 && Math.abs(b - 0.048) < 1e-5, `${a} ${b}`);
});
