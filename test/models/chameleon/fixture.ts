/** Small Chameleons for this folder's tests. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Rng } from '../../../src/engine';
import type { ChameleonConfig } from '../../../src/models/chameleon/config';
import { ChameleonModel, type ChameleonPrompt } from '../../../src/models/chameleon/model';
import { nameOfCode } from '../../../src/models/chameleon/vocabulary';
import { loadTokenizer, type TextTokenizer } from '../../../src/text';

export const PARITY = path.join(__dirname, '..', '..', 'parity');

/** Eleven codes between the special tokens and 40 ids of text, in no order; 4 x 4 codes of 2 x 2 pixels. */
export function tinyConfig(change: Partial<ChameleonConfig> = {}): ChameleonConfig {
  const codes = 11;
  const reserved = (n: number) => `<reserved${String(n).padStart(5, '0')}>`;
  const special = ['<s>', '<pad>', '</s>', '<unk>', '<racm3:break>', '<eoss>', '<image>'];
  const names = [...special, ...[8706, 8799, 8801, 8802, 8803].map(reserved)];
  const map = Object.fromEntries(names.map((name, id) => [name, id]));
  for (let code = 0; code < codes; code++) map[nameOfCode(code)] = names.length + ((code * 7) % codes);
  return {
    text: {
      vocab_size: 64,
      hidden_size: 24,
      intermediate_size: 40,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      head_dim: 6,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      rope_factor: 1,
      max_position_embeddings: 128,
      attention_bias: false,
      mlp_bias: false,
      tie_word_embeddings: false,
      qk_norm: true,
      swin_norm: false,
    },
    model_parallel_size: 1,
    bos_token_id: 0,
    pad_token_id: 1,
    eos_token_id: 2,
    image_token_id: 6,
    vocabulary_map: map,
    vq: { ch: 4, ch_mult: [1, 2], num_res_blocks: 1, z_channels: 4, embed_dim: 3, n_embed: codes, norm_groups: 2 },
    resolution: 8,
    layout: 'chameleon',
    prompt_format: 'plain',
    ...change,
  };
}

/** Words `w20` for the ids of text, and no others; read from a `tokenizer.json` like any. */
export function words(): TextTokenizer {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'unilab-words-')), 'tokenizer.json');
  const vocab = Object.fromEntries(Array.from({ length: 64 }, (_, id) => [`w${id}`, id]));
  const model = { type: 'WordLevel', vocab, unk_token: 'w3' };
  const json = {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: null,
    decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
    model,
  };
  writeFileSync(file, JSON.stringify(json));
  return loadTokenizer(file);
}

/** Random weights, large enough that choices differ from each other. */
export function tinyModel(change: Partial<ChameleonConfig> = {}, seed = 5): ChameleonModel {
  const model = ChameleonModel.random(tinyConfig(change), undefined, words(), new Rng(seed));
  for (const [name, variable] of Object.entries(model.variables()))
    if (/proj|embed|head/.test(name)) {
      const louder = variable.mul(6);
      variable.assign(louder);
      louder.dispose();
    }
  return model;
}

/** Text, a prompt of an image, and longer text. */
export const prompts: readonly ChameleonPrompt[] = [
  { task: 'interleave', ids: [0, 25, 30, 31] },
  { task: 'interleave', ids: [0, 40, 4] },
  { task: 'interleave', ids: [0, 33, 35, 37, 39, 41, 43] },
];

/** Those that can be continued in words. */
export const texts = [prompts[0], prompts[2]];

export const rngs = (seed: number, count = prompts.length) =>
  Array.from({ length: count }, (_, k) => new Rng(seed).split(k));

/** Each prompt with random numbers of its own. */
export const requests = (seed: number, list: readonly ChameleonPrompt[] = prompts) =>
  list.map((prompt, k) => ({ prompt, rng: new Rng(seed).split(k) }));

/** A prompt that is drawn. */
export const drawing = (...ids: number[]): ChameleonPrompt => ({ task: 'generate', ids: [0, ...ids, 4] });
