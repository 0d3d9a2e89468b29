import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startEngine, Rng, tf, withoutTracing } from '../../../src/engine';
import { imageLength, partsOf } from '../../../src/models/chameleon/layout';
import type { ChameleonModel } from '../../../src/models/chameleon/model';
import {
  type ChameleonSequenceOptions,
  samplingPlan,
  SequenceBatch,
} from '../../../src/models/chameleon/sequence-batch';
import { PromptTooLongError } from '../../../src/models/unified';
import { drawing, prompts, requests, rngs, tinyModel, texts } from './fixture';

const models: Record<'chameleon' | 'lumina' | 'swin', ChameleonModel> = {} as never;

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  models.chameleon = tinyModel();
  models.lumina = tinyModel({ layout: 'lumina' });
  models.swin = tinyModel({ text: { ...models.chameleon.config.text, swin_norm: true } });
});
after(() => Object.values(models).forEach((model) => model.dispose()));

/** Images begin at different times in different rows. */
const FORCED = (row: number, index: number) => (index === 2 * row + 1 || index > 24 ? 4 : undefined);

function sequences(model: ChameleonModel, options: ChameleonSequenceOptions, seed = 3, list = prompts) {
  const plan = samplingPlan(model.network, options);
  const asked = list.map(({ ids }, k) => ({ prompt: ids, rng: rngs(seed, list.length)[k] }));
  return SequenceBatch.start(model.network, asked, plan).finish();
}

const ids = (model: ChameleonModel, options: ChameleonSequenceOptions, seed?: number) =>
  sequences(model, options, seed).map((row) => Array.from(row.ids));

describe('sequences', () => {
  test('what is sampled greedily is what whole passes say, token for token: text, images, guidance', () => {
    for (const model of [models.chameleon, models.swin]) {
      const { network } = model;
      const { boi, imageIds } = network.vocabulary;
      const options = {
        text: { temperature: 0, maxNewTokens: 6 },
        image: { temperature: 0, guidanceScale: 3 },
        forced: FORCED,
        stop: [],
      };
      let drawn = 0;
      for (const { prompt, ids: row, drawn: isDrawn, inImage } of sequences(model, options)) {
        const all = [...prompt, ...row];
        row.forEach((id, i) => {
          if (!isDrawn[i]) return;
          drawn++;
          const last = (context: number[]) =>
            tf.tidy(() => {
              const hidden = tf.reshape<tf.Rank.R2>(network.hidden([context]), [context.length, -1]);
              return network.logits(tf.slice(hidden, [context.length - 1, 0], [1, -1])).dataSync();
            });
          const context = all.slice(0, prompt.length + i);
          const conditional = last(context);
          const alone = inImage[i] ? last(context.slice(context.lastIndexOf(boi))) : conditional;
          const may = inImage[i]
            ? [...imageIds]
            : Array.from({ length: 64 }, (_, k) => k).filter(
                (k) => !imageIds.includes(k) && ![5, 6, 8, 9, 10, 11].includes(k),
              );
          const score = (k: number) => alone[k] + 3 * (conditional[k] - alone[k]);
          const best = may.reduce((a, b) => (score(b) > score(a) ? b : a));
          assert.ok(id === best || Math.abs(score(id) - score(best)) < 1e-3, `${id} and ${best} at ${i}`);
        });
      }
      assert.ok(drawn > 50, `${drawn}`);
    }
  });

  test('a row does not depend on its neighbors', () => {
    const options = { text: { maxNewTokens: 12 }, image: { guidanceScale: 2 }, maxImages: 1 };
    const together = ids(models.chameleon, options);
    prompts.forEach((prompt, b) => {
      const plan = samplingPlan(models.chameleon.network, options);
      const request = { prompt: prompt.ids, rng: rngs(3)[b] };
      const [alone] = SequenceBatch.start(models.chameleon.network, [request], plan).finish();
      assert.deepEqual(Array.from(alone.ids), together[b]);
    });
  });

  test('images follow their layout, hold codes only, and are finished past the limit', () => {
    for (const [name, grid] of [
      ['chameleon', undefined],
      ['lumina', [4, 2]],
      ['lumina', [6, 4]],
    ] as const) {
      const { network } = models[name];
      const { boi, codeOfId } = network.vocabulary;
      const forced = (_row: number, index: number) => (index === 4 ? boi : undefined);
      const options = { text: { maxNewTokens: 5 }, image: { guidanceScale: 4 }, forced, grid, stop: [] };
      for (const { prompt, ids: row, drawn, inImage, logProbs } of sequences(models[name], options, 9)) {
        const parts = partsOf(network.config, network.vocabulary, [...prompt, ...row], grid);
        const images = parts.filter((part) => part.kind === 'image');
        assert.ok(images.length >= 1);
        for (const { grid: own } of images) assert.deepEqual(own, grid ?? [4, 4]);
        row.forEach((id, i) => {
          if (codeOfId[id] >= 0) assert.ok(inImage[i] === 1 && drawn[i] === 1, 'codes are drawn, in images alone');
          else if (inImage[i]) assert.equal(drawn[i], 0, 'what is no code in an image is forced');
          assert.ok(drawn[i] ? logProbs[i] < 0 : logProbs[i] === 0);
        });
      }
    }
    assert.equal(imageLength(models.lumina.config, [6, 4]), 2 + 6 * 5 + 1);
  });

  test('text says no special id of images, and begins no more of them than allowed', () => {
    const model = models.chameleon;
    const never = new Set([5, 6, 8, 9, 10, 11]);
    const said = new Set<number>();
    for (let seed = 0; seed < 6; seed++) {
      const options = { text: { maxNewTokens: 60, temperature: 3 }, maxImages: 0, stop: [] };
      for (const row of sequences(model, options, seed, prompts.slice(0, 1))) row.ids.forEach((id) => said.add(id));
    }
    assert.ok(said.size > 25, `${said.size} ids were said`);
    for (const id of said) assert.ok(id !== 4 && !never.has(id) && model.network.vocabulary.codeOfId[id] < 0, `${id}`);
  });

  test('equal prompts are read once: their pass has one row', () => {
    const { network } = models.chameleon;
    const rows: number[] = [];
    const hidden = network.hiddenOf.bind(network);
    network.hiddenOf = (inputs) => (rows.push(inputs.ids.shape[0]), hidden(inputs));
    const [{ transitions }] = models.chameleon.sampleText(requests(2, [prompts[2], prompts[2], prompts[2]]), {
      maxNewTokens: 3,
    });
    delete (network as { hiddenOf?: unknown }).hiddenOf;
    assert.deepEqual(rows.slice(0, 2), [1, 3]);
    assert.equal(transitions.length, 1);
  });
});

describe('images, one code a step', () => {
  const list = [drawing(25, 30), drawing(40), drawing(33, 35, 37)];
  const options = { guidanceScale: 3, temperature: 1.2, topK: 6 };

  test('stepping to the end equals finishing at once, and the same seed gives the same images', () => {
    for (const model of [models.chameleon, models.lumina]) {
      const stepped = model.imageSampler(requests(4, list), options);
      assert.equal(stepped.steps, 16);
      for (let step = 0; step < 16; step++) {
        assert.deepEqual([stepped.stepsDone, stepped.done], [step, false]);
        stepped.step();
      }
      assert.equal(stepped.done, true);
      const images = stepped.finish();
      assert.deepEqual(images, model.imageSampler(requests(4, list), options).finish());
      assert.notDeepEqual(images, model.imageSampler(requests(5, list), options).finish());
      for (const { name, codes, grid, transitions } of images) {
        assert.deepEqual([name, codes.length, grid], ['generation', 16, [4, 4]]);
        assert.equal(transitions.length, 1);
        assert.equal(
          transitions[0].actionMask.reduce((a, b) => a + b),
          16,
        );
        assert.equal(transitions[0].sampledIds.length, imageLength(model.config, grid));
      }
    }
  });

  test('a batch is thinned out and goes on as if alone', () => {
    for (const model of [models.chameleon, models.lumina]) {
      const whole = model.imageSampler(requests(4, list), options).finish();
      for (const [after, chosen] of [
        [0, [1]],
        [5, [2, 0]],
        [15, [0]],
      ] as const) {
        const sampler = model.imageSampler(requests(4, list), options);
        for (let step = 0; step < after; step++) sampler.step();
        const rest = sampler.select(chosen);
        assert.equal(rest.stepsDone, after);
        rest.finish().forEach(({ codes, transitions: [own] }, k) => {
          const [expected] = whole[chosen[k]].transitions;
          assert.deepEqual(codes, whole[chosen[k]].codes);
          assert.deepEqual(own.sampledIds, expected.sampledIds);
          own.logProbs.forEach((value, i) => assert.ok(Math.abs(value - expected.logProbs[i]) < 1e-4));
        });
        assert.throws(() => sampler.step(), /goes on as the one/);
      }
    }
    const sampler = models.chameleon.imageSampler(requests(4, list), options);
    assert.throws(() => sampler.select([3]), /there is no sample 3 among 3/);
    assert.throws(() => sampler.select([1, 1]), /sample 1 is selected twice/);
    assert.deepEqual(sampler.select([]).finish(), []);
  });

  test('guidance moves images; top-k 1 is greedy; nothing asked for gives nothing', () => {
    const draw = (own: Parameters<ChameleonModel['imageSampler']>[1]) =>
      models.chameleon.imageSampler(requests(1, list.slice(0, 1)), own).finish()[0].codes;
    assert.notDeepEqual(draw({ guidanceScale: 1 }), draw({ guidanceScale: 6 }));
    assert.deepEqual(draw({ topK: 1 }), draw({ temperature: 0 }));
    assert.deepEqual(models.chameleon.imageSampler([]).finish(), []);
    assert.deepEqual(models.chameleon.sampleText([]), []);
  });
});

describe('what cannot be sampled', () => {
  test('options', () => {
    const { chameleon: model } = models;
    const wrong = [
      { temperature: NaN },
      { temperature: -1 },
      { temperature: Infinity },
      { topK: 0 },
      { topK: 1.5 },
      { topK: NaN },
      { topP: 0 },
      { topP: 1.1 },
      { topP: NaN },
    ];
    for (const options of wrong) {
      assert.throws(() => model.sampleText(requests(1, texts), options), RangeError);
      assert.throws(() => model.imageSampler(requests(1, [drawing(30)]), options), RangeError);
      assert.throws(() => model.sampleSequences(requests(1), { text: options }), RangeError);
      assert.throws(() => model.sampleSequences(requests(1), { image: options }), RangeError);
    }
    for (const maxNewTokens of [0, -1, 1.5, NaN, Infinity])
      assert.throws(() => model.sampleText(requests(1, texts), { maxNewTokens }), /maxNewTokens is/);
    for (const guidanceScale of [NaN, Infinity, -1])
      assert.throws(() => model.imageSampler(requests(1, [drawing(30)]), { guidanceScale }), /guidanceScale is/);
    assert.throws(() => model.imageSampler([], { imageLogProbs: 'both' as 'guided' }), /imageLogProbs is 'both'/);
    for (const maxImages of [-1, 0.5, NaN])
      assert.throws(() => model.sampleSequences(requests(1), { maxImages }), /maxImages is/);
  });

  test('prompts', () => {
    const { chameleon: model, lumina } = models;
    const text = (...list: number[]) => [{ prompt: { task: 'understand' as const, ids: list }, rng: new Rng(1) }];
    assert.throws(() => model.sampleText(text()), /a prompt is empty/);
    assert.throws(() => model.sampleText(text(0, 4)), /ends inside an image/);
    assert.throws(() => model.sampleText(text(0, 64)), /id 64 at 1 of row 0 is outside 0\.\.63/);
    assert.throws(() => model.sampleText(text(0), { maxNewTokens: 200 }), PromptTooLongError);
    assert.throws(
      () => model.sampleSequences(text(0), { maxImages: 9 }),
      /9 images of 17 are more than the model's 128/,
    );
    assert.throws(
      () => model.sampleText(requests(1, [drawing(30)])),
      /made to generate .* to understand or interleave/,
    );
    assert.throws(() => model.imageSampler(text(0, 30)), /made to understand/);
    assert.throws(() => model.sampleSequences(text(0, 4, 12, 13), { grid: [1, 1] }), /inside an image of more than/);
    assert.throws(
      () => lumina.sampleSequences(text(0), { grid: [3, 2] }),
      /3 codes along an axis are no multiple of 2/,
    );
    assert.throws(() => lumina.sampleSequences(text(0), { grid: [2, 20] }), /no token for a size of 10 steps/);
  });

  test('nothing leaks, also when it throws or is left early', () => {
    const model = models.chameleon;
    const start = tf.memory().numTensors;
    const list = [drawing(25, 30), drawing(40)];
    for (let i = 0; i < 3; i++) {
      model.sampleSequences(requests(i), { text: { maxNewTokens: 6 }, image: { guidanceScale: 3 }, forced: FORCED });
      const forced = (_row: number, index: number) => (index === 3 ? 99 : undefined);
      assert.throws(() => model.sampleSequences(requests(i), { forced, stop: [] }), /id 99/);
      const sampler = model.imageSampler(requests(i, list), { guidanceScale: 2 });
      sampler.step();
      sampler.dispose();
      const other = model.imageSampler(requests(i, list), { guidanceScale: 2 });
      other.step();
      other.select([1]).dispose();
      const throwing = {
        prompt: list[0],
        rng: {
          uniform: () => {
            throw new Error('no more');
          },
        } as unknown as Rng,
      };
      assert.throws(() => model.imageSampler([throwing]).finish(), /no more/);
    }
    assert.equal(tf.memory().numTensors, start);
  });

  test('traced, sequences and images have the numbers of single operations to the bit', async () => {
    const model = tinyModel();
    const numbers = () => {
      const options = { text: { maxNewTokens: 6 }, image: { guidanceScale: 3 }, forced: FORCED };
      const sampler = model.imageSampler(requests(1, [drawing(25, 30), drawing(40)]), { guidanceScale: 2 });
      sampler.step();
      const images = sampler.select([1, 0]).finish();
      return [
        ...sequences(model, options).flatMap(({ ids: list, logProbs }) => [...list, ...logProbs]),
        ...images.flatMap(({ transitions: [{ logProbs }] }) => [...logProbs]),
      ];
    };
    const plain = await withoutTracing(numbers);
    for (let round = 0; round < 3; round++) assert.deepEqual(numbers(), plain);
    model.dispose();
  });
});
