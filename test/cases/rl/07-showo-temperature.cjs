#!/usr/bin/env node
// Text of every backbone: the temperature is checked, and log-probs are recorded at the temperature that was sampled.
process.env.UNILAB_PRECISION = 'float32';
const { library, check, main, outcome } = require('./lib/library.cjs');

main(async () => {
  const { startEngine, loadModel, dataFolder, Rng } = library();
  await startEngine({ quiet: true });
  for (const name of ['showo-mini', 'janus-mini', 'chameleon-mini']) {
    const model = await loadModel(dataFolder('checkpoints', name));
    const prompt = model.prompt(['a red cup and a blue car in the snow'], 'understand');
    for (const temperature of [NaN, -1, Infinity]) {
      const text = await outcome(() =>
        model.sampleText([{ prompt, rng: new Rng(1) }], { maxNewTokens: 3, temperature }),
      );
      check(
        `${name}: temperature ${temperature} is a RangeError`,
        text.error instanceof RangeError,
        text.error ?? 'taken',
      );
      const drawn = [{ prompt: model.prompt(['a red cup'], 'generate'), rng: new Rng(1) }];
      const image = await outcome(() => model.imageSampler(drawn, { temperature }).step());
      check(`${name}: so it is for images`, image.error instanceof RangeError, image.error ?? 'taken');
    }
    const requests = Array.from({ length: 600 }, (_, i) => ({ prompt, rng: new Rng(9).split(i) }));
    const drawn = model
      .sampleText(requests, { maxNewTokens: 1, temperature: 0.5 })
      .map(({ transitions: [{ sampledIds, logProbs }] }) => ({ id: sampledIds[0], logProb: logProbs[0] }));
    const times = new Map();
    for (const { id } of drawn) times.set(id, (times.get(id) ?? 0) + 1);
    const [id, n] = [...times].sort((a, b) => b[1] - a[1])[0];
    const share = n / requests.length;
    const recorded = Math.exp(drawn.find((one) => one.id === id).logProb);
    check(
      `${name}: at temperature 0.5 the recorded probability is the frequency`,
      Math.abs(share - recorded) < 0.06,
      `drawn in ${(100 * share).toFixed(1)} % of 600, recorded ${recorded.toFixed(3)}`,
    );
    model.dispose();
  }
});
