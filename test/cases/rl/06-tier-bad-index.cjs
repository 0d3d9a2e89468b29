#!/usr/bin/env node
// TIER: one sample with a wrong index loses its own score, not that of its neighbors.
const { library, check, main } = require('./lib/library.cjs');

main(async () => {
  const { rewards } = library();
  const embedder = { name: 'e', size: 2, embed: async (texts) => texts.map(() => Float32Array.of(1, 0)) };
  const samples = [0, 2].map((correct) => ({ completion: 'a', truth: { candidates: ['a', 'b'], correct } }));
  const [first, second] = await rewards.tierReward(embedder)(samples);
  check('the good sample is scored', Number.isFinite(first.value), JSON.stringify(first));
  check(
    'the bad one is NaN with its reason',
    Number.isNaN(second.value) && Boolean(second.reason),
    JSON.stringify(second),
  );
  const image = (failing) => ({
    bytes: async () => {
      if (failing) throw new Error('no such file');
      return { width: 2, height: 2, rgb: new Uint8Array(12) };
    },
    pixels: () => library().tf.zeros([1, 2, 2, 3]),
  });
  const match = rewards.berReward({ name: 'm', cosine: async (images) => images.map(() => 0.5) });
  const [fine, broken] = await match([false, true].map((failing) => ({ prompt: 'a', image: image(failing) })));
  check('an image that cannot be decoded costs its own score alone', fine.value === 0.5, JSON.stringify(fine));
  check('and says why', Number.isNaN(broken.value) && Boolean(broken.reason), JSON.stringify(broken));
});
