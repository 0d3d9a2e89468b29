import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { startEngine, tf } from '../../../src/engine';
import { toFloat32 } from '../../../src/io';
import { sampleTexts } from '../../../src/models/showo/text-sampler';
import { conditionTokens, textToImageExample, understandingEoi } from '../../../src/models/showo/layout';
import { causalMask, textToImageMask, understandingMask } from '../../../src/models/showo/masks';
import { type Draws, ShowoImageSampler } from '../../../src/models/showo/sampler';
import { maxDifference, rowsOf, showoFixture } from './fixture';

let fixture: Awaited<ReturnType<typeof showoFixture>>;

before(async () => {
  await startEngine({ precision: 'float32' });
  fixture = await showoFixture();
});

function allLogits(rows: number[][], masks: Uint8Array[]): Float32Array {
  return tf.tidy(() => {
    const hidden = fixture.network.hidden(fixture.network.inputs(rows, masks));
    const flat = tf.reshape<tf.Rank.R2>(hidden, [-1, fixture.config.hidden_size]);
    return fixture.network.logits(flat).dataSync<'float32'>();
  });
}

test('masks equal upstream, bit for bit', () => {
  const { inputs, expected, network: model } = fixture;
  const t2i = rowsOf(inputs.t2i_input_ids);
  const flat = (masks: Uint8Array[]) => Float32Array.from(masks.flatMap((mask) => Array.from(mask)));
  assert.equal(
    maxDifference(flat(t2i.map((row) => textToImageMask(row, model.vocabulary))), toFloat32(expected.mask_t2i)),
    0,
  );
  assert.equal(
    maxDifference(
      flat(t2i.map((row) => textToImageMask(row, model.vocabulary, { hidePads: false }))),
      toFloat32(expected.mask_t2i_keep_pad),
    ),
    0,
  );
  assert.equal(
    maxDifference(flat(rowsOf(inputs.lm_input_ids).map((row) => causalMask(row.length))), toFloat32(expected.mask_lm)),
    0,
  );
  const eoi = understandingEoi(fixture.config);
  assert.equal(
    maxDifference(
      flat(rowsOf(inputs.mmu_input_ids).map((row) => understandingMask(row.length, eoi))),
      toFloat32(expected.mask_mmu),
    ),
    0,
  );
});

test('logits of the three layouts', () => {
  const { inputs, expected, network: model } = fixture;
  const t2i = rowsOf(inputs.t2i_input_ids);
  assert.ok(
    maxDifference(
      allLogits(
        t2i,
        t2i.map((row) => textToImageMask(row, model.vocabulary)),
      ),
      toFloat32(expected.t2i_logits),
    ) < 1e-4,
  );
  const lm = rowsOf(inputs.lm_input_ids);
  assert.ok(
    maxDifference(
      allLogits(
        lm,
        lm.map((row) => causalMask(row.length)),
      ),
      toFloat32(expected.lm_logits),
    ) < 1e-4,
  );
  const mmu = rowsOf(inputs.mmu_input_ids);
  const eoi = understandingEoi(fixture.config);
  assert.ok(
    maxDifference(
      allLogits(
        mmu,
        mmu.map((row) => understandingMask(row.length, eoi)),
      ),
      toFloat32(expected.mmu_logits),
    ) < 1e-4,
  );
});

test('the condition is laid out as upstream does, too long a text cut with its end put last', () => {
  const { inputs, info, config, network: model } = fixture;
  const rows = rowsOf(inputs.t2i_input_ids);
  info.text_ids.t2i_texts.forEach((text, i) => {
    const dropped = i === 3;
    const made = conditionTokens(config, dropped ? null : text, { overflow: 'cut' });
    assert.deepEqual(made, rows[i].slice(0, config.max_text_len));
  });
  assert.throws(() => conditionTokens(config, new Array<number>(40).fill(1)), /prompt has 40 tokens.*holds 12/);
  const codes = rows[0].slice(config.max_text_len + 1, -1).map(() => 5);
  const example = textToImageExample(
    config,
    [1],
    codes,
    codes.map((_, i) => i === 2),
  );
  assert.equal(example.ids[config.max_text_len + 1 + 2], model.vocabulary.mask);
  assert.equal(example.labels.filter((label) => label === model.vocabulary.imageOffset + 5).length, 1);
});

test('guided MaskGIT decoding with the supplied noise gives upstream codes and log-probs', () => {
  const { inputs, expected, info, config, network } = fixture;
  const [steps, images, n, size] = inputs.gen_noise_cat.shape;
  const cat = toFloat32(inputs.gen_noise_cat);
  const noise = toFloat32(inputs.gen_noise_mask);
  const draws: Draws = {
    codes: (b, step, open) => {
      const from = (step * images + b) * n;
      return Float32Array.from(open.flatMap((i) => [...cat.subarray((from + i) * size, (from + i + 1) * size)]));
    },
    noise: (b, step) => noise.slice((step * images + b) * n, (step * images + b + 1) * n),
  };
  const rows = rowsOf(inputs.gen_input_ids);
  // Conditions as text: what stands between sot and eot.
  const texts = rows.map((row) => {
    const v = network.vocabulary;
    const from = row.indexOf(v.t2i) + 2;
    return row.slice(from, config.max_text_len - 1);
  });
  const scales = [
    [info.guidance_scale + 1, 'gen_final_codes'],
    [1, 'gen_final_codes_noguidance'],
  ] as const;
  for (const [guidanceScale, key] of scales) {
    const options = { steps, guidanceScale, temperature: info.temperature0, temperatureMode: 'compound' } as const;
    const requests = texts.map((condition) => ({ condition, draws }));
    const batch = ShowoImageSampler.start(network, requests, options);
    const codes = batch.finish().map((segment) => Array.from(segment.codes));
    assert.deepEqual(codes, rowsOf(expected[key]));
    if (guidanceScale === 1) continue;
    const logProbs = toFloat32(expected.traj_logprobs);
    for (let t = 0; t < steps; t++) {
      for (let b = 0; b < images; b++) {
        const at = (t * images + b) * n;
        assert.ok(maxDifference(batch.transitions[b][t].logProbs, logProbs.slice(at, at + n)) < 1e-3);
      }
    }
  }
});

test('greedy answers equal upstream', () => {
  const { inputs, expected, network: model } = fixture;
  const [ids] = rowsOf(inputs.mmu_gen_input_ids);
  const want = Array.from(toFloat32(expected.mmu_greedy_ids));
  const options = { temperature: 0, maxNewTokens: want.length, vocabulary: 'all' } as const;
  const [answer] = sampleTexts(model, [{ ids, image: true }], [], options);
  assert.deepEqual(Array.from(answer.ids), want);
});
