/** Janus: vision, aligner, language model, generation head, VQ tokenizer, greedy answers, greedy guided images. */
import { imageInputs } from '../../../src/models/janus/inputs';
import { featureCount } from '../../../src/models/janus/network';
import * as path from 'node:path';
import { crossEntropy, readValues, Rng, tf } from '../../../src/engine';
import { type RawTensor, readSafetensors, toFloat32 } from '../../../src/io';
import { IGNORE } from '../../../src/nn/packed-rows';
import { likeliest } from '../../../src/nn/token-sampling';
import { imageCodes } from '../../../src/models/janus/config';
import { Decoder } from '../../../src/nn/decoder';
import type { KvCache } from '../../../src/nn/kv-cache';
import { llamaRotary } from '../../../src/nn/llama';
import { generationIds, unconditionalIds } from '../../../src/models/janus/layout';
import { JanusImageTokenizer } from '../../../src/models/janus/image-tokenizer';
import type { JanusNetwork } from '../../../src/models/janus/network';
import { readConfig, readNetwork } from '../../../src/models/janus/pretrained';
import { imageCodeLogits } from '../../../src/models/janus/policy';
import { JanusImageSampler, type StepLogits } from '../../../src/models/janus/sampler';
import { type Check, close, closeOrRelative, holds, same } from './check';

interface Description {
  readonly special: {
    readonly bos: number;
    readonly eos: number;
    readonly pad: number;
    readonly boi: number;
    readonly eoi: number;
    readonly image_token: number;
    readonly cfg: number;
    readonly max_new_tokens: number;
    readonly prefix_codes: number;
  };
}

class Fixture {
  readonly tokenizer: JanusImageTokenizer;

  constructor(
    readonly special: Description['special'],
    readonly network: JanusNetwork,
    readonly inputs: Readonly<Record<string, RawTensor>>,
    readonly expected: Readonly<Record<string, RawTensor>>,
  ) {
    this.tokenizer = new JanusImageTokenizer(network.config.vq, network.layers.model.vqmodel);
  }

  /** Hidden states and logits: 1e-4 absolute, relative where values are large. */
  close(name: string, quantity: string, compute: () => tf.Tensor): Check {
    return closeOrRelative(name, quantity, readValues(compute), this.want(quantity), 1e-4, 1e-4);
  }

  /** Decoded pixels: 1e-3. */
  pixels(name: string, quantity: string, compute: () => tf.Tensor): Check {
    return close(name, quantity, readValues(compute), this.want(quantity), 1e-3);
  }

  want(quantity: string): Float32Array {
    if (!this.expected[quantity]) throw new Error(`expected.safetensors has no ${quantity}`);
    return toFloat32(this.expected[quantity]);
  }

  rows(name: string): number[][] {
    return rowsOf(this.inputs[name]);
  }

  nhwc(name: string): tf.Tensor4D {
    const raw = this.inputs[name];
    return tf.tidy(() => tf.transpose(tf.tensor<tf.Rank>(toFloat32(raw), [...raw.shape]), [0, 2, 3, 1]) as tf.Tensor4D);
  }
}

export async function* parity(
  folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const { special } = description as unknown as Description;
  const { bos, eos, pad, boi, eoi, image_token: image } = special;
  const config = await readConfig(folder, { bos, eos, pad, boi, eoi, image });
  const network = await readNetwork(folder, config);
  try {
    const read = (name: string) => readSafetensors(path.join(folder, name));
    const fixture = new Fixture(special, network, await read('inputs.safetensors'), await read('expected.safetensors'));
    yield* visionChecks(fixture);
    yield* languageChecks(fixture);
    yield* answerChecks(fixture);
    yield* generationChecks(fixture);
    yield* tokenizerChecks(fixture);
    yield* imageChecks(fixture);
  } finally {
    network.dispose();
  }
}

function* visionChecks(f: Fixture): Generator<Check> {
  const { network } = f;
  const { vision_model: tower } = network.layers.model;
  const features = () => tower.forward(f.nhwc('pixel_values'));
  yield f.close('vision', 'vision_last_hidden_state', features);
  yield f.close('vision', 'vision_pooler_output', () => tower.pooled(features()));
  yield f.close('vision', 'aligner_output', () => network.imageFeatures(f.nhwc('pixel_values')));
}

function* languageChecks(f: Fixture): Generator<Check> {
  const { network } = f;
  const rows = f.rows('und_input_ids');
  const seen = f.rows('und_attention_mask');
  const pads = seen.map((row) => row.indexOf(1));
  const flat = (hidden: tf.Tensor3D) => tf.reshape<tf.Rank.R2>(hidden, [-1, network.config.text.hidden_size]);
  // Upstream's plain forward counts positions from the row's beginning, padding included.
  const all = (): tf.Tensor2D =>
    tf.tidy(() => {
      const features = network.imageFeatures(f.nhwc('pixel_values'));
      const embeds = network.embed(network.embedInputs(rows, featureCount(features)), features);
      const hidden = network.hidden(embeds, { mask: leftPadded(seen) });
      return network.textLogits(flat(hidden));
    });
  const positions = seen.flatMap((row, b) => row.flatMap((one, t) => (one ? [b * row.length + t] : [])));
  const vocab = network.config.text.vocab_size;
  const want = f.want('und_logits');
  yield closeOrRelative(
    'understanding',
    'und_logits',
    readValues(() => tf.gather(all(), tf.tensor1d(positions, 'int32'))),
    Float32Array.from(positions.flatMap((at) => Array.from(want.subarray(at * vocab, (at + 1) * vocab)))),
    1e-4,
    1e-4,
  );
  yield holds(
    'understanding',
    'padding on the left',
    pads.every((pad, b) => seen[b].slice(pad).every((one) => one === 1)),
  );
  const labels = f.rows('und_labels');
  yield f.close('understanding', 'und_loss', () => {
    const scored = labels.flatMap((row, b) =>
      row.flatMap((label, t) => (t > 0 && label !== IGNORE ? [b * row.length + t - 1] : [])),
    );
    const targets = labels.flatMap((row) => row.slice(1).filter((label) => label !== IGNORE));
    return crossEntropy(tf.gather(all(), tf.tensor1d(scored, 'int32')), tf.tensor1d(targets, 'int32'));
  });
  yield f.close('text', 'text_logits', () =>
    network.textLogits(flat(network.hidden(network.embed(network.embedInputs(f.rows('text_input_ids')))))),
  );
}

/** Upstream's greedy continuation of the first row; the row has no padding. */
function* answerChecks(f: Fixture): Generator<Check> {
  const { network } = f;
  const [ids] = f.rows('und_input_ids');
  const got: number[] = [];
  const logits: number[] = [];
  const { eos } = network.config.tokens;
  const most = f.special.max_new_tokens;
  const decoder = new Decoder({
    owner: network,
    name: 'answer',
    layers: network.config.text.num_hidden_layers,
    room: ids.length + most,
    rotary: llamaRotary(network.config.text),
    inputs: (row) => network.embedInputs(row),
    read: (inputs, { tables, ...at }) => network.hidden(network.embed(inputs), { ...at, positions: tables }),
    head: (hidden) => network.textLogits(hidden),
  });
  const features = tf.tidy(() => {
    const first = tf.slice(f.nhwc('pixel_values'), [0, 0, 0, 0], [1, -1, -1, -1]);
    return network.imageFeatures(first);
  });
  try {
    const read = (cache: KvCache) =>
      network.hidden(network.embed(network.embedInputs([ids], featureCount(features)), features), { cache });
    let step = readValues(() => decoder.start([ids.length], [0], read));
    for (;;) {
      logits.push(...step);
      got.push(likeliest(step, 0, step.length));
      if (got[got.length - 1] === eos || got.length === most) break;
      step = readValues(() => decoder.next(got.slice(-1)));
    }
  } finally {
    features.dispose();
    decoder.dispose();
  }
  yield same('answer', 'und_greedy_ids', got, f.want('und_greedy_ids'));
  yield closeOrRelative('answer', 'und_greedy_step_logits', logits, f.want('und_greedy_step_logits'), 1e-4, 1e-4);
}

function* generationChecks(f: Fixture): Generator<Check> {
  const { network } = f;
  const codes = f.rows('gen_codes');
  yield f.close('generation', 'gen_embeds_raw', () => network.codeRows(network.codeIds(codes)));
  yield f.close('generation', 'gen_embeds_aligned', () => network.embedCodes(network.codeIds(codes)));
  const prefix = (): tf.Tensor3D => {
    const first = network.embedCodes(network.codeIds([codes[0].slice(0, f.special.prefix_codes)]));
    return network.hidden(tf.concat([network.embed(network.embedInputs(f.rows('gen_prompt_ids'))), first], 1));
  };
  yield f.close('generation', 'gen_prefix_hidden', prefix);
  yield f.close('generation', 'gen_prefix_head_logits', () =>
    network.codeLogits(tf.reshape(prefix(), [-1, network.config.text.hidden_size])),
  );
}

function* tokenizerChecks(f: Fixture): Generator<Check> {
  const { tokenizer } = f;
  const pixels = () => f.nhwc('vq_pixel_values');
  yield f.close('tokenizer', 'vq_encoder_hidden', () => nchw(tokenizer.encoderHidden(pixels())));
  yield f.close('tokenizer', 'vq_prequant', () => nchw(tokenizer.latents(pixels())));
  for (const [quantity, l2Norm] of [
    ['vq_encode_indices', false],
    ['vq_encode_indices_l2norm', true],
  ] as const) {
    const codes = readValues<'int32'>(() => tokenizer.encodePixels(pixels(), l2Norm));
    yield same('tokenizer', quantity, codes, f.want(quantity));
  }
  yield f.close('tokenizer', 'vq_embedding_loss', () => tokenizer.codebookLoss(pixels(), false));
  const codes = f.rows('gen_codes');
  yield f.close('tokenizer', 'vq_decode_codebook_entry', () => nchw(tokenizer.entries(codes)));
  yield f.pixels('tokenizer', 'vq_decode_pixels_nchw', () => nchw(tokenizer.decode(codes)));
  yield f.pixels('tokenizer', 'decode_image_tokens_nhwc', () => tokenizer.decode(codes));
}

function* imageChecks(f: Fixture): Generator<Check> {
  const { network, special, tokenizer } = f;
  const [prompt] = f.rows('gen_prompt_ids');
  yield same('layout', 'gen_prompt_ids', generationIds(network.config, prompt.slice(1, -1)), prompt);
  const unconditional = unconditionalIds(network.config, prompt);
  yield same('layout', 'gen_uncond_prompt_ids', unconditional, f.want('gen_uncond_prompt_ids'));
  const steps: StepLogits[] = [];
  const observe = (logits: StepLogits) => void steps.push(logits);
  const request = { prompt: { task: 'generate', ids: prompt }, rng: new Rng(0) } as const;
  const options = { temperature: 0, guidanceScale: special.cfg };
  const [{ codes }] = JanusImageSampler.start(network, [request], options, observe).finish();
  yield same('image', 'gen_greedy_cfg_codes', codes, f.want('gen_greedy_cfg_codes'));
  for (const [part, quantity] of [
    ['conditional', 'gen_cfg_step_logits_cond'],
    ['unconditional', 'gen_cfg_step_logits_uncond'],
    ['guided', 'gen_cfg_step_logits_guided'],
  ] as const) {
    const got = steps.flatMap((step) => Array.from(step[part] ?? []));
    yield closeOrRelative('image, with the cache', quantity, got, f.want(quantity), 1e-4, 1e-4);
  }
  yield f.close('image, in one pass', 'gen_cfg_step_logits_cond', () =>
    imageCodeLogits(network, imageInputs(network, [prompt], [codes])),
  );
  yield f.close('image, in one pass', 'gen_cfg_step_logits_uncond', () =>
    imageCodeLogits(network, imageInputs(network, [unconditional], [codes])),
  );
  yield f.pixels('image', 'gen_greedy_cfg_pixels_nchw', () => nchw(tokenizer.decode([codes])));
  yield holds('image', 'number of codes', codes.length === imageCodes(network.config));
}

/** Causal, and nothing before a row's first 1 is seen. */
function leftPadded(seen: readonly (readonly number[])[]): tf.Tensor4D {
  const length = seen[0].length;
  const out = seen.flatMap((row) => row.flatMap((_, q) => row.map((one, k) => (k <= q && one ? 0 : -1e9))));
  return tf.tensor4d(out, [seen.length, 1, length, length]);
}

function nchw(x: tf.Tensor): tf.Tensor {
  return tf.transpose(x, [0, 3, 1, 2]);
}

function rowsOf(raw: RawTensor): number[][] {
  const [count, length] = raw.shape;
  const flat = Array.from(toFloat32(raw));
  return Array.from({ length: count }, (_, i) => flat.slice(i * length, (i + 1) * length));
}
