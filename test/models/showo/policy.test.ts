import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { startEngine, Rng, tf } from '../../../src/engine';
import type { ShowoModel, ShowoPrompt } from '../../../src/models/showo/model';
import type { ImageTransition, ShowoTransition } from '../../../src/models/showo/policy';
import { type ShowoImageOptions, ShowoImageSampler } from '../../../src/models/showo/sampler';
import type { SampleRequest, TextOptions } from '../../../src/models/unified';
import { noiseImage } from './tiny-showo';
import { showoFixture } from './fixture';

let model: ShowoModel;

before(async () => {
  await startEngine({ precision: 'float32' });
  ({ model } = await showoFixture());
});

const CAPTIONS = ['w66 w134 w114', 'w5 w7', 'w9 w9 w9 w9 w12'];

function drawings(seed: number): SampleRequest<ShowoPrompt>[] {
  return CAPTIONS.map((caption, i) => ({ prompt: model.prompt([caption], 'generate'), rng: new Rng(seed).split(i) }));
}

function images(options: ShowoImageOptions): ImageTransition[] {
  const segments = model.imageSampler(drawings(7), { steps: 4, ...options }).finish();
  return segments.flatMap(({ transitions }) => transitions);
}

function answers(options: TextOptions = {}): ShowoTransition[] {
  const [rows, columns] = model.imageTokenizer.grid.map((side) => side * model.imageTokenizer.stride);
  const prompts = [
    model.prompt([noiseImage(columns, rows, 3), 'w3 w1 w4'], 'understand'),
    model.prompt(['w1 w5 w9 w2 w6 w5'], 'understand'),
  ];
  const requests = prompts.map((prompt, i) => ({ prompt, rng: new Rng(8).split(i) }));
  return model.sampleText(requests, { maxNewTokens: 6, ...options }).flatMap(({ transitions }) => transitions);
}

/** Largest |ratio - 1| over decisions, replayed together. */
function worstRatio(transitions: readonly ShowoTransition[]): number {
  const values = tf.tidy(() => model.replay(transitions).arraySync());
  let worst = 0;
  transitions.forEach(({ logProbs, actionMask }, b) =>
    logProbs.forEach((old, i) => {
      if (actionMask[i]) worst = Math.max(worst, Math.abs(Math.exp(values[b][i] - old) - 1));
    }),
  );
  return worst;
}

describe('replay with unchanged weights', () => {
  test('gives ratio 1 for images: guided and conditional, whatever is scored', () => {
    for (const imageLogProbs of ['guided', 'conditional'] as const)
      for (const guidanceScale of [1, 6, 0.5])
        for (const scored of ['all', 'masked', 'unmasked'] as const)
          assert.ok(worstRatio(images({ imageLogProbs, guidanceScale, scored })) < 1e-4);
  });

  test('gives ratio 1 for answers at every temperature, top-k and top-p', () => {
    const cases: TextOptions[] = [
      {},
      { temperature: 0.3 },
      { temperature: 2 },
      { temperature: 0 },
      { topK: 5 },
      { topP: 0.6 },
    ];
    for (const options of cases) assert.ok(worstRatio(answers(options)) < 1e-4, JSON.stringify(options));
  });

  test('is 0 behind the end of a row and where nothing was decided', () => {
    const [long, other] = answers();
    const firstTwo = {
      sampledIds: other.sampledIds.slice(0, 2),
      logProbs: other.logProbs.slice(0, 2),
      actionMask: other.actionMask.slice(0, 2),
    };
    const short = { ...other, ...firstTwo } as ShowoTransition;
    const values = tf.tidy(() => model.replay([long, short]).arraySync());
    assert.ok(long.sampledIds.length > 2 && values[1].slice(2).every((value) => value === 0));
    // Answers of up to 8 tokens have one shape.
    assert.deepEqual([values.length, values[0].length], [2, 8]);
    const { length } = long.sampledIds;
    assert.ok(values[0].slice(0, length).every((value) => value < 0) && values[0].slice(length).every((v) => v === 0));
    const [, second] = images({ scored: 'unmasked' });
    const [row] = tf.tidy(() => model.replay([second]).arraySync());
    row.forEach((value, i) => assert.equal(value === 0, second.actionMask[i] === 0));
    assert.ok(second.logProbs.every((value, i) => second.actionMask[i] === 1 || value === 0));
  });

  test('answers that many rows give go on part after part, each as it would alone', () => {
    const prompts = [['w1 w2'], ['w3 w4 w5 w6']].map((parts) => model.prompt(parts, 'understand'));
    const request = (i: number) => ({ prompt: prompts[i % 2], rng: new Rng(8).split(i) });
    const options = { maxNewTokens: 6, temperature: 2 };
    const said = model.sampleText([...Array(27).keys()].map(request), options); // parts of 14 and 13
    said.forEach((answer, i) => {
      const [alone] = model.sampleText([request(i)], options);
      assert.deepEqual(answer.transitions[0].sampledIds, alone.transitions[0].sampledIds, `answer ${i}`);
    });
    const transitions = said.flatMap((answer) => answer.transitions);
    assert.ok(worstRatio(transitions) < 1e-4);
    assert.ok(worstRatio(transitions.filter((_, i) => i % 2 === 0)) < 1e-4); // of one prompt, which gets more room
  });

  test('is not 1 for shifted ids, another image, another temperature or the other half: the tests above can fail', () => {
    const shift = (ids: Int32Array) => Int32Array.from(ids, (_, i) => ids[(i + 1) % ids.length]);
    const drawn = images({ guidanceScale: 6 });
    assert.ok(worstRatio(drawn.map((t) => ({ ...t, sampledIds: shift(t.sampledIds) }))) > 0.1);
    assert.ok(worstRatio(drawn.map((t) => ({ ...t, imageLogProbs: 'conditional' as const }))) > 0.1);
    assert.ok(worstRatio(drawn.map((t) => ({ ...t, guidanceScale: 5 }))) > 0.01);
    assert.ok(worstRatio(drawn.map((t, i) => ({ ...t, inputIds: drawn[(i + 5) % drawn.length].inputIds }))) > 0.01);
    const said = answers();
    assert.ok(worstRatio(said.map((t) => ({ ...t, sampledIds: shift(t.sampledIds) }))) > 0.1);
    assert.ok(worstRatio(said.map((t) => ({ ...t, temperature: 1.1 }) as ShowoTransition)) > 0.01);
  });

  test('refuses what cannot share a batch', () => {
    const [picture] = images({ guidanceScale: 2 });
    const [said] = answers();
    const [warm] = answers({ temperature: 2 });
    const refused = (transitions: ShowoTransition[], message: RegExp) =>
      assert.throws(
        () => model.replay(transitions),
        (e) => e instanceof RangeError && message.test(e.message),
      );
    refused([said, picture], /one segment at a time/);
    refused([said, warm], /one temperature at a time, got 1, 2/);
    refused([picture, { ...picture, guidanceScale: 3 }], /one guidance scale at a time, got 2, 3/);
    refused([picture, { ...picture, imageLogProbs: 'conditional' }], /one kind of log-probs/);
    refused([], /at least one/);
  });
});

describe('sampling', () => {
  test('the recorded probability is the frequency, at any temperature and under top-k', () => {
    const prompt = model.prompt(['w1 w2'], 'understand');
    for (const options of [{ temperature: 0.5 }, { temperature: 2, topK: 3 }]) {
      const count = 600;
      const requests = Array.from({ length: count }, (_, i) => ({ prompt, rng: new Rng(9).split(i) }));
      const drawn = model.sampleText(requests, { ...options, maxNewTokens: 1 }).map(({ transitions: [t] }) => t);
      const times = new Map<number, number>();
      for (const { sampledIds } of drawn) times.set(sampledIds[0], (times.get(sampledIds[0]) ?? 0) + 1);
      const [[id, n]] = [...times].sort((a, b) => b[1] - a[1]);
      const recorded = Math.exp(drawn.find((t) => t.sampledIds[0] === id)?.logProbs[0] ?? NaN);
      assert.ok(Math.abs(n / count - recorded) < 0.06, `${n / count} of the draws, recorded ${recorded}`);
      if ('topK' in options) assert.equal(times.size, 3);
    }
  });

  test('text is never a special token or an image code', () => {
    const words = model.config.llm_vocab_size;
    for (const { sampledIds } of answers({ temperature: 50, maxNewTokens: 40 }))
      assert.ok(sampledIds.every((id) => id < words));
  });

  test('options out of range are said', () => {
    for (const temperature of [NaN, -1, Infinity])
      assert.throws(() => answers({ temperature }), { name: 'RangeError', message: /temperature/ });
    assert.throws(() => answers({ topK: 0 }), RangeError);
    assert.throws(() => answers({ topP: 1.5 }), RangeError);
    assert.throws(() => answers({ maxNewTokens: 0 }), RangeError);
    assert.throws(() => images({ steps: 0 }), RangeError);
    assert.throws(() => images({ guidanceScale: NaN }), RangeError);
    assert.throws(() => images({ temperature: -1 }), RangeError);
    assert.throws(() => images({ topK: 5 }), /no topK/);
    assert.throws(() => model.prompt(['w1', noiseImage(8, 8, 1)], 'generate'), RangeError);
    assert.throws(() => model.prompt(['w1'], 'interleave'), RangeError);
    assert.throws(() => model.prompt([noiseImage(8, 16, 1)], 'understand'), /8 x 16; this model sees/);
    assert.throws(() => model.sampleText(drawings(1)), /made to generate cannot be answered/);
  });

  test('scored positions: all, those unknown before the step, those that stay', () => {
    const n = model.config.num_vq_tokens;
    const count = (scored: 'all' | 'masked' | 'unmasked') =>
      images({ scored })
        .slice(0, 4)
        .map(({ actionMask }) => actionMask.reduce((a, b) => a + b, 0));
    assert.deepEqual(count('all'), [n, n, n, n]);
    const masked = count('masked');
    assert.equal(masked[0], n);
    for (let t = 1; t < 4; t++) assert.ok(masked[t] < masked[t - 1] && masked[t] > 0);
    assert.equal(
      count('unmasked').reduce((a, b) => a + b, 0),
      n,
      'every position stays exactly once',
    );
  });

  test('images do not depend on their neighbors, and can be stopped, thinned out and carried on', () => {
    const options = { steps: 5, guidanceScale: 3 };
    const codes = (list: readonly { codes: Int32Array }[]) => list.map((segment) => segment.codes);
    const whole = codes(model.imageSampler(drawings(11), options).finish());
    const [alone] = codes(model.imageSampler(drawings(11).slice(1, 2), options).finish());
    assert.deepEqual(alone, whole[1]);
    const stopped = model.imageSampler(drawings(11), options);
    stopped.step();
    stopped.step();
    assert.equal(stopped.stepsDone, 2);
    assert.ok(stopped.predicted.every((list) => list.every((code) => code >= 0 && code < model.config.codebook_size)));
    const rest = stopped.select([2, 0]);
    assert.throws(() => stopped.step(), /thinned out/);
    assert.deepEqual(codes(rest.finish()), [whole[2], whole[0]]);
    assert.throws(() => model.imageSampler(drawings(11), options).select([0, 0]), RangeError);
    assert.throws(() => model.imageSampler(drawings(11), options).select([3]), RangeError);
    assert.deepEqual(
      codes(model.imageSampler(drawings(11), options).finish()),
      whole,
      'the same seed, the same images',
    );
  });

  test('leaves no tensors, also when something throws', () => {
    answers();
    const tensors = tf.memory().numTensors;
    const drawn = images({ imageLogProbs: 'conditional', guidanceScale: 2 });
    const said = answers({ topK: 4 });
    model.replay(drawn).dispose();
    model.replay(said).dispose();
    assert.throws(() => model.replay([{ ...drawn[0], inputIds: drawn[0].inputIds.slice(1) }]), RangeError);
    const sampler = model.imageSampler(drawings(1), { imageLogProbs: 'conditional' });
    sampler.dispose();
    assert.throws(() => sampler.step(), /disposed/);
    const noise = () => {
      throw new Error('no noise');
    };
    const draws = {
      codes: (_image: number, _step: number, open: readonly number[]) => new Float32Array(open.length),
      noise,
    };
    const broken = () =>
      ShowoImageSampler.start(model.network, [{ condition: [1], draws }], { imageLogProbs: 'conditional' });
    assert.throws(() => broken().finish(), /no noise/);
    const started = broken();
    assert.throws(() => started.step(), /no noise/);
    started.dispose();
    assert.equal(tf.memory().numTensors, tensors);
  });
});
