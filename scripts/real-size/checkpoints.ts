/** Checkpoints of published sizes with random weights, whole: language model, image tokenizers, text tokenizer. */
import path from 'node:path';
import { writeRandomCheckpoint } from '../../bench/large/random-checkpoint';
import { Rng } from '../../src/engine';
import { writeFileAtomic } from '../../src/io/write-file';
import { ChameleonModel } from '../../src/models/chameleon/model';
import { JanusLayers } from '../../src/models/janus/network';
import { janusConfigToTransformers } from '../../src/models/janus/upstream/transformers-config';
import { MagvitNetwork } from '../../src/models/showo/image-tokenizer';
import { ShowoLayers } from '../../src/models/showo/layers';
import type { ShowoFile } from '../../src/models/showo/pretrained';
import type { Module } from '../../src/nn/module';
import { parameterCount } from '../../src/nn/store';
import { tokenizerOf } from '../../src/text/tokenizer';
import { chameleonSizes, FIRST_WORD, janusSizes, showoSizes } from './sizes';
import { paddedTokenizer } from './tokenizer';

/** Whether it is the published size, or about a hundredth of it, to see that everything works. */
export type Size = 'published' | 'small';

/** Writes a checkpoint. @returns its number of parameters, image tokenizers included */
export type CheckpointWriter = (folder: string, size: Size) => Promise<number>;

const putJson = (folder: string, name: string, json: object) =>
  writeFileAtomic(path.join(folder, name), `${JSON.stringify(json)}\n`);

async function putWeights(folder: string, files: Readonly<Record<string, Module>>): Promise<number> {
  let count = 0;
  for (const [file, net] of Object.entries(files))
    count += (await writeRandomCheckpoint(folder, net, 1, file)).parameters;
  return count;
}

export const writeShowo: CheckpointWriter = async (folder, size) => {
  const { transformer, tokenizer } = showoSizes[size];
  const file: ShowoFile = { model_type: 'showo', transformer, tokenizer };
  const count = await putWeights(folder, {
    'model.safetensors': new ShowoLayers(transformer),
    'tokenizer.safetensors': new MagvitNetwork(tokenizer),
  });
  await putJson(folder, 'tokenizer.json', paddedTokenizer(transformer.llm_vocab_size));
  await putJson(folder, 'config.json', file);
  return count;
};

export const writeJanus: CheckpointWriter = async (folder, size) => {
  const config = janusSizes[size];
  const files = janusConfigToTransformers(config, 'bfloat16');
  const count = await putWeights(folder, { 'model.safetensors': JanusLayers.of(config) });
  await putJson(folder, 'tokenizer.json', paddedTokenizer(config.text.vocab_size, FIRST_WORD.janus));
  await putJson(folder, 'generation_config.json', files.generation);
  await putJson(folder, 'config.json', files.config);
  return count;
};

/** Small enough for the model's own way of saving; the encoder and its codebook stand in both files, as published. */
export const writeChameleon: CheckpointWriter = async (folder, size) => {
  const config = chameleonSizes(size);
  const { vocab_size: vocabulary } = config.text;
  const text = tokenizerOf(paddedTokenizer(vocabulary, FIRST_WORD.chameleon, config.vocabulary_map));
  const model = ChameleonModel.random(config, undefined, text, new Rng(1));
  try {
    await model.savePretrained(folder, { dtype: 'BF16' });
    return parameterCount(model.layers) + parameterCount(model.imageTokenizer.vqgan);
  } finally {
    model.dispose();
  }
};
