/** Chameleon and Lumina-mGPT: image tokenizer, vocabulary, logits, losses, greedy text, guided images. */
import * as path from 'node:path';
import { crossEntropy, readValues, Rng, tf } from '../../../src/engine';
import { type RawTensor, readSafetensors, toFloat32 } from '../../../src/io';
import { fillPlaceholders } from '../../../src/models/chameleon/layout';
import { ChameleonModel } from '../../../src/models/chameleon/model';
import { Branch } from '../../../src/models/chameleon/branch';
import { type ChameleonNetwork, maskImageLogits } from '../../../src/models/chameleon/network';
import { samplingPlan, SequenceBatch } from '../../../src/models/chameleon/sequence-batch';
import { causalMask } from '../../../src/nn/causal-mask';
import { likeliest } from '../../../src/nn/token-sampling';
import type { Vqgan } from '../../../src/nn/vqgan';
import { codebookEntries, quantize } from '../../../src/nn/vqgan-codebook';
import { type Check, close, holds, same } from './check';

interface Description {
  special: Record<string, number>;
  cfg: number;
}

interface Fixture {
  readonly d: Description;
  readonly model: ChameleonModel;
  readonly imageTokenizer: Vqgan;
  readonly inputs: Record<string, RawTensor>;
  readonly want: (name: string) => Float32Array;
  readonly shape: (name: string) => readonly number[];
}

export async function* parity(
  folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const model = await ChameleonModel.fromPretrained(folder);
  try {
    const imageTokenizer = model.imageTokenizer.vqgan;
    yield holds('load', 'whole image tokenizer', imageTokenizer.decoder !== undefined, 'vqgan/ is missing');
    if (!imageTokenizer.decoder) return;
    const inputs = await readSafetensors(path.join(folder, 'inputs.safetensors'));
    const expected = await readSafetensors(path.join(folder, 'expected.safetensors'), { nonFinite: 'allow' });
    const tensor = (name: string): RawTensor => {
      if (!(name in expected)) throw new Error(`expected.safetensors has no tensor ${name}`);
      return expected[name];
    };
    const want = (name: string): Float32Array => toFloat32(tensor(name));
    const d = description as unknown as Description;
    const fixture: Fixture = { d, model, imageTokenizer, inputs, want, shape: (name) => tensor(name).shape };
    yield vocabularyCheck(fixture);
    yield* tokenizerChecks(fixture);
    yield* logitChecks(fixture);
    yield* greedyChecks(fixture);
    yield* guidedChecks(fixture);
  } finally {
    model.dispose();
  }
}

function vocabularyCheck({ d, model }: Fixture): Check {
  const { bos, pad, eos, boi, eoi, image, separator } = model.network.vocabulary;
  const ours: Record<string, number | undefined> = { bos, pad, eos, boi, eoi, image, sep: separator };
  const names = Object.keys(d.special);
  return same(
    'vocabulary',
    'special ids',
    names.map((name) => ours[name]),
    names.map((name) => d.special[name]),
  );
}

function* tokenizerChecks({ model, imageTokenizer, inputs, want, shape }: Fixture): Generator<Check> {
  const pixels = nhwc(inputs.pixel_values);
  try {
    const { codebook } = imageTokenizer;
    const hidden = nchw(() => imageTokenizer.hidden(pixels));
    yield close('image tokenizer', 'vq_encoder_hidden', hidden, want('vq_encoder_hidden'), 1e-4);
    const latents = nchw(() => imageTokenizer.encodeContinuous(pixels));
    yield close('image tokenizer', 'vq_prequant', latents, want('vq_prequant'), 1e-4);
    const codes = model.imageTokenizer.encodePixels(pixels).flatMap((row) => [...row]);
    yield same('image tokenizer', 'vq_encode_indices', codes, want('vq_encode_indices'));
    const entries = nchw(() => quantize(imageTokenizer.encodeContinuous(pixels), codebook).entries);
    yield close('image tokenizer', 'vq_quantized', entries, want('vq_quantized'), 1e-4);
    const loss = readValues(() => quantize(imageTokenizer.encodeContinuous(pixels), codebook).loss);
    yield close('image tokenizer', 'vq_embedding_loss', loss, want('vq_embedding_loss'), 1e-4);
    const ids = codes.map((code) => model.network.vocabulary.idOfCode[code]);
    yield same('image tokenizer', 'image_bpe_ids', ids, want('image_bpe_ids'));
    const back = ids.map((id) => model.network.vocabulary.codeOfId[id]);
    yield same('image tokenizer', 'codes of image_bpe_ids', back, want('vq_encode_indices'));
    const table = model.store.get('model.embed_tokens.weight') as tf.Tensor2D;
    const features = readValues(() => codebookEntries(table, ids));
    yield close('image tokenizer', 'image_features', features, want('image_features'), 1e-4);
    const decoded = nchw(() =>
      model.imageTokenizer.decode(rowsOf(inputs.codes), gridOf(imageTokenizer, shape('vq_decode_pixels'))),
    );
    yield close('image tokenizer', 'vq_decode_pixels', decoded, want('vq_decode_pixels'), 1e-3);
  } finally {
    pixels.dispose();
  }
}

/** The prompts with their images' codes in place of the placeholders. */
function filledRows({ model, inputs }: Fixture): number[][] {
  const pixels = nhwc(inputs.pixel_values);
  const codes = model.imageTokenizer.encodePixels(pixels).flatMap((row) => [...row]);
  pixels.dispose();
  return fillPlaceholders(model.network.vocabulary, rowsOf(inputs.input_ids), codes);
}

function* logitChecks(fixture: Fixture): Generator<Check> {
  const { model, inputs, want } = fixture;
  const { vocabulary: v, config } = model.network;
  const rows = filledRows(fixture);
  const seen = rowsOf(inputs.attention_mask);
  const pads = seen.map((row) => row.indexOf(1));
  const kept = (values: Float32Array, width: number): number[] =>
    seen.flat().flatMap((m, i) => (m ? [...values.subarray(i * width, (i + 1) * width)] : []));
  const hidden = readValues(() => padded(model.network, rows, pads));
  const width = config.text.hidden_size;
  yield close('forward', 'last_hidden_state', kept(hidden, width), kept(want('last_hidden_state'), width), 1e-4);
  const logits = logitsOf(model.network, rows, pads);
  const masked = maskImageLogits(v, logits);
  try {
    const raw = logits.dataSync<'float32'>();
    yield close('forward', 'logits_unmasked', kept(raw, v.size), kept(want('logits_unmasked'), v.size), 1e-4);
    yield close('forward', 'logits', kept(masked.dataSync<'float32'>(), v.size), kept(want('logits'), v.size), 1e-4);
    const loss = readValues(() => {
      const [batch, tokens] = [rows.length, rows[0].length];
      const scored = tf.reshape<tf.Rank.R2>(tf.slice(masked, [0, 0, 0], [batch, tokens - 1, v.size]), [-1, v.size]);
      const labels = rowsOf(inputs.labels).flatMap((row) => row.slice(1));
      return crossEntropy(scored, tf.tensor1d(labels, 'int32'));
    });
    yield close('forward', 'loss', loss, want('loss'), 1e-4);
  } finally {
    tf.dispose([logits, masked]);
  }
  const text = readValues(() => logitsOf(model.network, rowsOf(inputs.text_input_ids)));
  yield close('forward', 'text_logits_unmasked', text, want('text_logits_unmasked'), 1e-4);
}

/**
 * Hidden states of rows that are padded on the left, as upstream computes them: positions are counted from the row's
 * beginning, padding included.
 */
function padded(network: ChameleonNetwork, rows: readonly number[][], pads?: readonly number[]): tf.Tensor3D {
  return tf.tidy(() => network.hidden(rows, { mask: causalMask(rows[0].length, rows[0].length, pads) }));
}

/** Logits of every place, `[batch, tokens, vocab]`. */
function logitsOf(network: ChameleonNetwork, rows: readonly number[][], pads?: readonly number[]): tf.Tensor3D {
  return tf.tidy(() => {
    const hidden = padded(network, rows, pads);
    const flat = network.logits(tf.reshape<tf.Rank.R2>(hidden, [-1, network.config.text.hidden_size]));
    return tf.reshape<tf.Rank.R3>(flat, [rows.length, rows[0].length, -1]);
  });
}

/** Logits after a context and after each of the ids that follow it, one list a step. */
function stepLogits(network: ChameleonNetwork, context: readonly number[], ids: readonly number[]): Float32Array[] {
  const branch = new Branch(network, 'branch', context.length + ids.length);
  const key = {};
  try {
    return [...ids.keys(), ids.length].map((count) =>
      branch.next([{ key, context: [...context, ...ids.slice(0, count)] }]),
    );
  } finally {
    branch.dispose();
  }
}

function* greedyChecks(fixture: Fixture): Generator<Check> {
  const { network } = fixture.model;
  const { vocabulary: v } = network;
  const [prompt] = filledRows(fixture);
  const expected = Array.from(fixture.want('greedy_ids'));
  const greedy = (logits: Float32Array) =>
    likeliest(
      logits.map((logit, id) => (v.codeOfId[id] >= 0 ? -Infinity : logit)),
      0,
      v.size,
    );
  const got = stepLogits(network, prompt, expected.slice(0, -1)).map(greedy);
  yield same('greedy text', 'greedy_ids', got, expected);
  // The reference knows no images here: where it says one of their tokens, the sampler would not.
  if (expected.some((id) => id === v.boi || v.imageSpecials.includes(id))) return;
  const options = { text: { temperature: 0, maxNewTokens: expected.length }, maxImages: 0, stop: [] };
  const plan = samplingPlan(network, options);
  const [sampled] = SequenceBatch.start(network, [{ prompt, rng: new Rng(0) }], plan).finish();
  yield same('greedy text', 'greedy_ids by the sampler', sampled.ids, expected);
}

function* guidedChecks({ d, model, imageTokenizer, inputs, want, shape }: Fixture): Generator<Check> {
  const { network } = model;
  const { vocabulary: v } = network;
  const [prompt] = rowsOf(inputs.gen_prompt_ids);
  const ids = Array.from(want('gen_cfg_bpe_ids'));
  const grid = gridOf(imageTokenizer, shape('gen_cfg_pixels'));
  const image = { temperature: 0, guidanceScale: d.cfg };
  const plan = samplingPlan(network, { text: { maxNewTokens: 1 }, image, grid });
  const [sampled] = SequenceBatch.start(network, [{ prompt, rng: new Rng(0) }], plan).finish();
  const drawn = Array.from(sampled.ids).filter((_, i) => sampled.drawn[i] === 1 && sampled.inImage[i] === 1);
  yield same('guided image', 'gen_cfg_bpe_ids', drawn, ids);
  const codes = drawn.map((id) => v.codeOfId[id]);
  yield same('guided image', 'gen_cfg_codes', codes, want('gen_cfg_codes'));
  yield same('guided image', 'end token', [sampled.ids[sampled.inImage.lastIndexOf(1)]], [v.eoi]);
  const pixels = nchw(() => model.imageTokenizer.decode([codes], grid));
  yield close('guided image', 'gen_cfg_pixels', pixels, want('gen_cfg_pixels'), 1e-3);
  for (const [context, name] of [
    [prompt, 'cond'],
    [[v.boi], 'uncond'],
  ] as const) {
    const steps = stepLogits(network, context, ids.slice(0, -1)).flatMap((row) => [...row]);
    const expected = want(`gen_cfg_step_logits_${name}`);
    yield close('guided image', `gen_cfg_step_logits_${name}`, steps, expected, 1e-4);
    const whole = readValues(() => {
      const all = logitsOf(network, [[...context, ...ids.slice(0, -1)]]);
      return tf.slice(all, [0, context.length - 1, 0], [1, ids.length, -1]);
    });
    yield close('guided image', `gen_cfg_step_logits_${name}, not cached`, whole, expected, 1e-4);
  }
}

/** Rows and columns of codes of images `[batch, channels, height, width]`. */
function gridOf(imageTokenizer: Vqgan, pixels: readonly number[]): [number, number] {
  return [pixels[2] / imageTokenizer.stride, pixels[3] / imageTokenizer.stride];
}

function nhwc(raw: RawTensor): tf.Tensor4D {
  return tf.tidy(() =>
    tf.transpose(tf.tensor<tf.Rank.R4>(toFloat32(raw), raw.shape as [number, number, number, number]), [0, 2, 3, 1]),
  );
}

function nchw(compute: () => tf.Tensor): Float32Array {
  return readValues(() => tf.transpose(compute(), [0, 3, 1, 2]));
}

function rowsOf(raw: RawTensor): number[][] {
  const [count, length] = raw.shape;
  const flat = Array.from(toFloat32(raw));
  return Array.from({ length: count }, (_, i) => flat.slice(i * length, (i + 1) * length));
}
