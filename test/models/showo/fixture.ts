/** The parity fixtures as this folder's tests read them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type RawTensor, readSafetensors, toFloat32 } from '../../../src/io';
import { MagvitTokenizer } from '../../../src/models/showo/image-tokenizer';
import { MAGVIT_MINI } from '../../../src/miniworld/curricula/showo-config';
import { ShowoModel } from '../../../src/models/showo/model';
import { showoConfigFromUpstream } from '../../../src/models/showo/config';
import { ShowoLayers } from '../../../src/models/showo/layers';
import { ParamStore } from '../../../src/nn/store';
import { numberWords } from './tiny-showo';
import { Rng } from '../../../src/engine';

export const PARITY = path.join(__dirname, '..', '..', 'parity');

export function readJson<T>(...parts: string[]): T {
  return JSON.parse(readFileSync(path.join(PARITY, ...parts), 'utf8')) as T;
}

/** Rows of a [batch, tokens] tensor as plain numbers. */
export function rowsOf(tensor: RawTensor): number[][] {
  const [batch, tokens] = tensor.shape;
  const flat = Array.from(toFloat32(tensor));
  return Array.from({ length: batch }, (_, b) => flat.slice(b * tokens, (b + 1) * tokens));
}

export function maxDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`lengths differ: ${actual.length} and ${expected.length}`);
  let worst = 0;
  for (let i = 0; i < actual.length; i++) worst = Math.max(worst, Math.abs(actual[i] - expected[i]));
  return worst;
}

export interface ShowoCase {
  special_token_ids: Record<string, number>;
  max_text_len: number;
  guidance_scale: number;
  timesteps: number;
  temperature0: number;
  text_ids: Record<string, number[][]>;
}

/** The tiny Show-o of the fixture, its inputs and what is expected of it. */
export async function showoFixture() {
  const info = readJson<ShowoCase>('showo', 'case.json');
  const config = showoConfigFromUpstream(readJson('showo', 'config.json'), readJson('showo', 'phi', 'config.json'), {
    bos_token_id: info.special_token_ids['<|sot|>'],
    eos_token_id: info.special_token_ids['<|eot|>'],
    max_text_len: info.max_text_len,
  });
  const file = path.join(PARITY, 'showo', 'model.safetensors');
  const layers = new ShowoLayers(config);
  const store = ParamStore.fromTensors(layers, await readSafetensors(file), file);
  // The fixture has no images, only codes: any tokenizer of its codebook's size will do.
  const bits = Math.log2(config.codebook_size);
  const imageTokenizer = MagvitTokenizer.random(
    {
      encoder: { ...MAGVIT_MINI.encoder, z_channels: bits },
      decoder: { ...MAGVIT_MINI.decoder, z_channels: bits },
      codebook_dim: bits,
    },
    new Rng(1),
  );
  const inputs = await readSafetensors(path.join(PARITY, 'showo', 'inputs.safetensors'));
  const expected = await readSafetensors(path.join(PARITY, 'showo', 'expected.safetensors'));
  const model = ShowoModel.of(layers, store, imageTokenizer, numberWords(config.llm_vocab_size));
  return { info, config, model, network: model.network, inputs, expected };
}
