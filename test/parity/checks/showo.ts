/** Show-o: layouts, masks, logits, losses, guided generation with supplied noise, its trajectory, and answers. */
import { readFile } from 'node:fs/promises';
import * as path from 'node:path';
import { crossEntropy, tf } from '../../../src/engine';
import { type RawTensor, readSafetensors, toFloat32 } from '../../../src/io';
import { sampleTexts } from '../../../src/models/showo/text-sampler';
import { showoConfigFromUpstream, showoVocabulary } from '../../../src/models/showo/config';
import {
  conditionTokens,
  textToImageIds,
  understandingEoi,
  understandingPrefix,
} from '../../../src/models/showo/layout';
import { drawnInputs, everyCode } from '../../../src/models/showo/image-inputs';
import { maskCount, maskTemperature, remask } from '../../../src/models/showo/maskgit';
import { causalMask, textToImageMask, understandingMask } from '../../../src/models/showo/masks';
import { ShowoLayers } from '../../../src/models/showo/layers';
import { ShowoNetwork } from '../../../src/models/showo/network';
import { replayTransitions } from '../../../src/models/showo/policy';
import { type Draws, ShowoImageSampler } from '../../../src/models/showo/sampler';
import { ParamStore } from '../../../src/nn/store';
import { type Check, close, same } from './check';

interface Description {
  special_token_ids: Record<string, number>;
  max_text_len: number;
  guidance_scale: number;
  timesteps: number;
  temperature0: number;
  text_ids: Record<string, number[][]>;
}

type Tensors = Record<string, RawTensor>;

interface Fixture {
  readonly d: Description;
  readonly model: ShowoNetwork;
  readonly store: ParamStore;
  readonly inputs: Tensors;
  readonly expected: Tensors;
}

export async function* parity(
  folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const fixture = await load(folder, description as unknown as Description);
  try {
    yield* layoutChecks(fixture);
    yield* maskAndLogitChecks(fixture);
    yield* firstStepChecks(fixture);
    yield* generationChecks(fixture);
    yield answerCheck(fixture);
  } finally {
    fixture.store.dispose();
  }
}

async function load(folder: string, d: Description): Promise<Fixture> {
  const json = async (name: string): Promise<Record<string, unknown>> =>
    JSON.parse(await readFile(path.join(folder, name), 'utf8')) as Record<string, unknown>;
  const showo = await json('config.json');
  const config = showoConfigFromUpstream(showo, await json('phi/config.json'), {
    bos_token_id: d.special_token_ids['<|sot|>'],
    eos_token_id: d.special_token_ids['<|eot|>'],
    max_text_len: d.max_text_len,
  });
  const file = path.join(folder, 'model.safetensors');
  const layers = new ShowoLayers(config);
  const store = ParamStore.fromTensors(layers, await readSafetensors(file), file);
  const inputs = await readSafetensors(path.join(folder, 'inputs.safetensors'));
  const expected = await readSafetensors(path.join(folder, 'expected.safetensors'), { nonFinite: 'allow' });
  return { d, model: new ShowoNetwork(layers.with(store)), store, inputs, expected };
}

function* layoutChecks({ d, model, inputs }: Fixture): Generator<Check> {
  const { config } = model;
  const v = showoVocabulary(config);
  const names = Object.keys(d.special_token_ids).map((token) => token.slice(2, -2)) as (keyof typeof v)[];
  yield same(
    'vocabulary',
    'special tokens',
    names.map((name) => v[name]),
    Object.values(d.special_token_ids),
  );
  const t2i = rowsOf(inputs.t2i_input_ids);
  // A row with nothing between begin and end had its condition dropped.
  const texts = d.text_ids.t2i_texts.map((text, i) =>
    t2i[i].filter((id, at) => at < d.max_text_len && id !== v.pad).length === 3 ? null : text,
  );
  const conditions = texts.map((text) => conditionTokens(config, text, { overflow: 'cut' }));
  yield same(
    't2i',
    'condition ids',
    conditions.flat(),
    t2i.flatMap((row) => row.slice(0, d.max_text_len)),
  );
  const masked = new Int32Array(config.num_vq_tokens).fill(-1);
  const made = (list: readonly (readonly number[] | null)[]): number[] =>
    list.flatMap((text) => textToImageIds(config, conditionTokens(config, text, { overflow: 'cut' }), masked));
  yield same('generation', 'conditional ids', made(d.text_ids.gen_texts), rowsOf(inputs.gen_input_ids).flat());
  yield same(
    'generation',
    'unconditional ids',
    made(d.text_ids.gen_texts.map(() => null)),
    rowsOf(inputs.gen_uncond_input_ids).flat(),
  );
  // Understanding: what the layout puts before the answer stands at the head of every row.
  const mmu = rowsOf(inputs.mmu_input_ids);
  const prefixes = d.text_ids.mmu_image_codes_plus_offset.map((ids) => {
    const codes = ids.map((id) => id - v.imageOffset);
    return understandingPrefix(config, codes, []);
  });
  yield same(
    'mmu',
    'prefix ids',
    prefixes.flat(),
    prefixes.flatMap((prefix, i) => mmu[i].slice(0, prefix.length)),
  );
}

function* maskAndLogitChecks({ d, model, inputs, expected }: Fixture): Generator<Check> {
  const { vocabulary: v, config } = model;
  const eoi = understandingEoi(config);
  const rows = (name: string): number[][] => rowsOf(inputs[`${name}_input_ids`]);
  const layouts = {
    t2i: { mask: (row: number[]) => textToImageMask(row, v), from: d.max_text_len, shift: 0 },
    lm: { mask: (row: number[]) => causalMask(row.length), from: 0, shift: 1 },
    mmu: { mask: (row: number[]) => understandingMask(row.length, eoi), from: 0, shift: 1 },
  };
  const flat = (masks: Uint8Array[]): number[] => masks.flatMap((mask) => Array.from(mask));
  const generation = [...rows('gen'), ...rows('gen_uncond')];
  yield same('masks', 'mask_gen', flat(generation.map((row) => textToImageMask(row, v))), toFloat32(expected.mask_gen));
  const keepPad = rows('t2i').map((row) => textToImageMask(row, v, { hidePads: false }));
  yield same('masks', 'mask_t2i_keep_pad', flat(keepPad), toFloat32(expected.mask_t2i_keep_pad));
  for (const [name, { mask, from, shift }] of Object.entries(layouts)) {
    const masks = rows(name).map(mask);
    yield same('masks', `mask_${name}`, flat(masks), toFloat32(expected[`mask_${name}`]));
    const [batch, tokens] = inputs[`${name}_input_ids`].shape;
    const logits = tf.tidy(() => {
      const hidden = model.hidden(model.inputs(rows(name), masks));
      return tf.reshape(model.logits(tf.reshape<tf.Rank.R2>(hidden, [batch * tokens, -1])), [batch, tokens, v.size]);
    });
    yield close('logits', `${name}_logits`, logits.dataSync(), toFloat32(expected[`${name}_logits`]), 1e-4);
    const loss = tf.tidy(() => {
      const count = tokens - from - shift;
      const scored = tf.reshape<tf.Rank.R2>(tf.slice(logits, [0, from, 0], [batch, count, v.size]), [
        batch * count,
        v.size,
      ]);
      const labels = rowsOf(inputs[`${name}_labels`]).flatMap((row) => row.slice(from + shift));
      return crossEntropy(scored, tf.tensor1d(labels, 'int32')).dataSync()[0];
    });
    logits.dispose();
    yield close('losses', `loss_${name}`, [loss], toFloat32(expected[`loss_${name}`]), 1e-5);
  }
}

function* firstStepChecks({ d, model, inputs, expected }: Fixture): Generator<Check> {
  const v = model.vocabulary;
  const { config } = model;
  const rows = rowsOf(inputs.gen_input_ids);
  const images = rows.map((row) => ({
    condition: row.slice(row.indexOf(v.t2i) + 2, config.max_text_len - 1),
    codes: row.slice(config.max_text_len + 1, -1).map((id) => (id === v.mask ? -1 : id - v.imageOffset)),
  }));
  const logits = (which: 'conditional' | 'guided', scale: number): Float32Array =>
    tf.tidy(() => {
      const places = everyCode(images.length, config.num_vq_tokens);
      return model.imageLogits(drawnInputs(config, images, scale !== 1, places), scale)[which].dataSync<'float32'>();
    });
  yield close(
    'first step',
    'gen_cond_logits_img',
    logits('conditional', 1),
    toFloat32(expected.gen_cond_logits_img),
    1e-4,
  );
  yield close(
    'first step',
    'gen_uncond_logits_img',
    logits('guided', 0),
    toFloat32(expected.gen_uncond_logits_img),
    1e-4,
  );
  // Upstream's w is s - 1.
  const guided = logits('guided', d.guidance_scale + 1);
  yield close('first step', 'gen_guided_logits_img', guided, toFloat32(expected.gen_guided_logits_img), 1e-3);
}

function* generationChecks(fixture: Fixture): Generator<Check> {
  const { d, model, inputs, expected } = fixture;
  const [steps, images, positions, codes] = inputs.gen_noise_cat.shape;
  const noiseOf = toFloat32(inputs.gen_noise_mask);
  const noise = (image: number, step: number): Float32Array =>
    noiseOf.slice((step * images + image) * positions, (step * images + image + 1) * positions);
  const draws = gumbelDraws(toFloat32(inputs.gen_noise_cat), images, positions, codes, noise);
  const v = model.vocabulary;
  const texts = rowsOf(inputs.gen_input_ids).map((row) => row.slice(row.indexOf(v.t2i) + 2, d.max_text_len - 1));
  const options = { steps, temperature: d.temperature0, temperatureMode: 'compound' } as const;
  const requests = texts.map((condition) => ({ condition, draws }));
  const sampler = (guidanceScale: number) => ShowoImageSampler.start(model, requests, { ...options, guidanceScale });
  const codesOf = (batch: ShowoImageSampler): number[] => batch.finish().flatMap((segment) => [...segment.codes]);
  yield same(
    'generation',
    'gen_final_codes_noguidance',
    codesOf(sampler(1)),
    toFloat32(expected.gen_final_codes_noguidance),
  );
  const batch = sampler(d.guidance_scale + 1);
  yield same('generation', 'gen_final_codes', codesOf(batch), toFloat32(expected.gen_final_codes));

  // The batch's own transitions, step by step: [steps, images, positions].
  const byStep = Array.from({ length: steps }, (_, s) => batch.transitions.map((list) => list[s]));
  const temperatures: number[] = [];
  const lengths: number[] = [];
  const masking: number[] = [];
  let temperature = d.temperature0;
  for (const [s, transitions] of byStep.entries()) {
    temperature = maskTemperature(d.temperature0, temperature, s, steps, 'compound');
    temperatures.push(temperature);
    for (const [b, { inputIds: before, logProbs }] of transitions.entries()) {
      const known = Uint8Array.from(before, (code) => (code >= 0 ? 1 : 0));
      const count = maskCount(before.filter((code) => code < 0).length, positions, s, steps);
      lengths.push(count);
      masking.push(...remask(logProbs.map(Math.exp), known, count, temperature, noise(b, s)).masked);
    }
  }
  yield same('generation', 'gen_mask_len', lengths, toFloat32(expected.gen_mask_len));
  yield same('generation', 'gen_masking', masking, toFloat32(expected.gen_masking));
  yield close('generation', 'gen_temperature', temperatures, toFloat32(expected.gen_temperature), 1e-6);
  const rows = byStep.flatMap((list) =>
    list.flatMap(({ inputIds: before }, b) =>
      textToImageIds(model.config, conditionTokens(model.config, texts[b]), before),
    ),
  );
  yield same('trajectory', 'traj_input_ids', rows, toFloat32(expected.traj_input_ids));
  yield same(
    'trajectory',
    'traj_chosen_ids',
    byStep.flatMap((list) => list.flatMap(({ sampledIds }) => [...sampledIds])),
    toFloat32(expected.traj_chosen_ids),
  );
  const sampled = byStep.flatMap((list) => list.flatMap(({ logProbs }) => [...logProbs]));
  yield close('trajectory', 'traj_logprobs as sampled', sampled, toFloat32(expected.traj_logprobs), 1e-3);
  const replayed = tf.tidy(() => replayTransitions(model, byStep.flat()).dataSync());
  yield close('trajectory', 'traj_logprobs replayed', replayed, toFloat32(expected.traj_logprobs), 1e-3);
}

/** Sampling as argmax(log p + supplied Gumbel noise). */
function gumbelDraws(
  noiseCat: Float32Array,
  images: number,
  positions: number,
  codes: number,
  noise: Draws['noise'],
): Draws {
  return {
    codes(image, step, open) {
      const from = (step * images + image) * positions;
      const rows = open.map((i) => noiseCat.subarray((from + i) * codes, (from + i + 1) * codes));
      return Float32Array.from(rows.flatMap((row) => [...row]));
    },
    noise,
  };
}

function answerCheck({ model, inputs, expected }: Fixture): Check {
  const want = toFloat32(expected.mmu_greedy_ids);
  const prefixes = rowsOf(inputs.mmu_gen_input_ids).map((ids) => ({ ids, image: true }));
  const options = { temperature: 0, maxNewTokens: want.length, vocabulary: 'all' } as const;
  const answers = sampleTexts(model, prefixes, [], options);
  return same(
    'answer',
    'mmu_greedy_ids',
    answers.flatMap(({ ids }) => [...ids]),
    want,
  );
}

function rowsOf(raw: RawTensor): number[][] {
  const length = raw.shape[raw.shape.length - 1];
  const flat = Array.from(toFloat32(raw));
  return Array.from({ length: length > 0 ? flat.length / length : 0 }, (_, i) =>
    flat.slice(i * length, (i + 1) * length),
  );
}
