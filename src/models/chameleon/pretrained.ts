/** Chameleon's checkpoints: Hugging Face's folder in and out, with the whole VQGAN beside it. */
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../io/write-file';
import { openSafetensors, type SafetensorsReader, type WritableTensor, writeSafetensors } from '../../io';
import { CheckpointMismatchError, checkShapes, type ExpectedTensors } from '../../nn/checkpoint-fit';
import type { StorageType } from '../../nn/parameter-values';
import { expectedTensors, ParamStore } from '../../nn/store';
import { Vqgan } from '../../nn/vqgan';
import { loadTokenizer, type TextTokenizer } from '../../text';
import { type ConceptTokens, loadConcept, saveConcept } from './concept-tokens';
import {
  type ChameleonConfig,
  chameleonConfigFromUpstream,
  chameleonConfigToUpstream,
  type ImageLayout,
} from './config';
import { ChameleonImageTokenizer } from './image-tokenizer';
import { ChameleonLayers } from './layers';
import { vqganConfigFromTaming, vqganConfigToTaming } from './upstream/taming';
import { chameleonVocabulary } from './vocabulary';

export interface LoadOptions {
  /** How images stand in sequences: `lumina` for Lumina-mGPT's checkpoints. Default: what `config.json` says, else `chameleon`. */
  readonly layout?: ImageLayout;
  /** `BF16`: the language model frozen, in half the memory, for inference or as the base under adapters. Default `F32`. */
  readonly dtype?: StorageType;
}

export interface SaveOptions {
  /** How weights are stored. Default `F32`. */
  readonly dtype?: 'F32' | 'BF16' | 'F16';
  /** Above so many bytes the language model goes into several files with an index. Default: one file. */
  readonly shardBytes?: number;
}

export interface LoadedChameleon {
  readonly config: ChameleonConfig;
  readonly layers: ChameleonLayers;
  readonly store: ParamStore;
  readonly imageTokenizer: ChameleonImageTokenizer;
  readonly tokenizer: TextTokenizer | undefined;
  readonly concept: ConceptTokens | undefined;
}

/** Where the image tokenizer's tensors stand in transformers' file. */
const VQ_PREFIX = 'model.vqmodel.';
/** Buffers of older files that carry no parameter. */
const BUFFER = /\.rotary_emb\.inv_freq$/;
const isImages = (name: string): boolean => name.startsWith(VQ_PREFIX);

/** See `ChameleonModel.fromPretrained`. */
export async function loadChameleon(folder: string, options: LoadOptions): Promise<LoadedChameleon> {
  const file = path.join(folder, 'config.json');
  const config = chameleonConfigFromUpstream(await readJson(file), file, options.layout);
  chameleonVocabulary(config); // said before gigabytes are read
  const reader = await openSafetensors(folder);
  try {
    const layers = new ChameleonLayers(config.text);
    // Lumina-mGPT's files leave the image tokenizer out.
    const hasImages = reader.names.some(isImages);
    const encoder = hasImages ? expectedOfEncoder(config) : {};
    const found = reader.names.filter((name) => !BUFFER.test(name)).map((name) => [name, reader.info(name)] as const);
    checkShapes({ ...expectedTensors(layers), ...encoder }, found, folder);
    const imageTokenizer = await loadImages(folder, config, hasImages ? reader : undefined);
    let store: ParamStore | undefined;
    try {
      const words = path.join(folder, 'tokenizer.json');
      const tokenizer = existsSync(words) ? loadTokenizer(words) : undefined;
      const ignore = (name: string): boolean => isImages(name) || BUFFER.test(name);
      store = await ParamStore.read(layers, reader, folder, { ignore }, options.dtype);
      const bound = layers.with(store);
      const concept = await loadConcept(folder, bound);
      return { config, imageTokenizer, tokenizer, layers: bound, store, concept };
    } catch (error) {
      imageTokenizer.dispose();
      store?.dispose();
      throw error;
    }
  } finally {
    await reader.close();
  }
}

/** The encoder's tensors in transformers' file. */
function expectedOfEncoder(config: ChameleonConfig): ExpectedTensors {
  const expected = expectedTensors(new Vqgan({ ...config.vq, parts: 'encoder' }));
  return Object.fromEntries(Object.entries(expected).map(([name, spec]) => [`${VQ_PREFIX}${name}`, spec]));
}

/** The whole VQGAN where it is there; else the encoder of the model's file; else none. */
async function loadImages(
  folder: string,
  config: ChameleonConfig,
  reader: SafetensorsReader | undefined,
): Promise<ChameleonImageTokenizer> {
  const place = path.join(folder, 'vqgan');
  const file = path.join(place, 'config.json');
  if (!existsSync(file)) {
    if (!reader) return ChameleonImageTokenizer.of(config);
    const layers = new Vqgan({ ...config.vq, parts: 'encoder' });
    const rules = {
      ignore: (name: string) => !isImages(name),
      rename: (name: string) => name.slice(VQ_PREFIX.length),
    };
    return ChameleonImageTokenizer.of(config, layers, await ParamStore.read(layers, reader, folder, rules));
  }
  const layers = new Vqgan(vqganConfigFromTaming(await readJson(file), file));
  const whole = await openSafetensors(place);
  try {
    // Checkpoints of the training hold the discriminator, too.
    const rules = { ignore: (name: string) => name.startsWith('loss.') };
    if (reader) checkSameEncoder(expectedTensors(layers), config, file, folder);
    const store = await ParamStore.read(layers, whole, place, rules);
    try {
      if (reader) await checkSameCodebook(store, reader, place, folder);
      return ChameleonImageTokenizer.of(config, layers, store);
    } catch (error) {
      store.dispose();
      throw error;
    }
  } finally {
    await whole.close();
  }
}

/** Both files must describe one tokenizer. */
function checkSameEncoder(whole: ExpectedTensors, config: ChameleonConfig, file: string, folder: string): void {
  const encoder = expectedTensors(new Vqgan({ ...config.vq, parts: 'encoder' }));
  const known = whole as Partial<ExpectedTensors>;
  const faults = Object.entries(encoder)
    .filter(([name, { shape }]) => known[name]?.shape.join() !== shape.join())
    .map(([name, { shape }]) => `${name}: [${shape}] by config.json, [${known[name]?.shape ?? 'missing'}] by ${file}`);
  if (faults.length > 0)
    throw new CheckpointMismatchError(`${folder}: two different image tokenizers:\n  ${faults.join('\n  ')}`);
}

/** Another codebook would give codes that the language model never saw. Files may be rounded to 16 bits. */
async function checkSameCodebook(
  store: ParamStore,
  reader: SafetensorsReader,
  place: string,
  folder: string,
): Promise<void> {
  const name = 'quantize.embedding.weight';
  const theirs = await reader.readFloat32(`${VQ_PREFIX}${name}`);
  const ours = store.get(name).dataSync<'float32'>();
  const largest = ours.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const at = ours.findIndex((value, i) => Math.abs(value - theirs[i]) > 0.01 * largest);
  if (at < 0) return;
  throw new CheckpointMismatchError(
    `${folder}: the image tokenizer in ${place} is another one: ${name} differs at ${at}: ${ours[at]}, and ${theirs[at]} in the model's file`,
  );
}

/** What is saved: a model, or its parts. */
export interface SavedChameleon {
  readonly config: ChameleonConfig;
  readonly store: ParamStore;
  readonly imageTokenizer: ChameleonImageTokenizer;
  readonly tokenizer?: TextTokenizer;
  readonly concept?: ConceptTokens;
}

/** See `ChameleonModel.savePretrained`. */
export async function saveChameleon(folder: string, model: SavedChameleon, options: SaveOptions): Promise<void> {
  const { dtype = 'F32', shardBytes } = options;
  const { config, store, imageTokenizer, tokenizer, concept } = model;
  await mkdir(folder, { recursive: true });
  const tensors: Record<string, WritableTensor> = { ...store.writable(dtype) };
  if (imageTokenizer.store) {
    const encoder = expectedTensors(new Vqgan({ ...config.vq, parts: 'encoder' }));
    const images = imageTokenizer.store.writable(dtype);
    for (const [name, tensor] of Object.entries(images)) if (name in encoder) tensors[`${VQ_PREFIX}${name}`] = tensor;
    const { vqgan } = imageTokenizer;
    if (vqgan.decoder) {
      const place = path.join(folder, 'vqgan');
      await mkdir(place, { recursive: true });
      await writeSafetensors(path.join(place, 'model.safetensors'), images);
      await writeJson(path.join(place, 'config.json'), vqganConfigToTaming(vqgan.config, config.resolution));
    }
  }
  if (tokenizer) await writeJson(path.join(folder, 'tokenizer.json'), tokenizer.json);
  await saveConcept(folder, concept);
  await writeSafetensors(path.join(folder, 'model.safetensors'), tensors, { shardBytes, metadata: { format: 'pt' } });
  const dtypeName = { F32: 'float32', BF16: 'bfloat16', F16: 'float16' }[dtype];
  await writeJson(path.join(folder, 'config.json'), { ...chameleonConfigToUpstream(config), dtype: dtypeName });
}

async function readJson(file: string): Promise<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Error('it is no JSON object');
    return json as Record<string, unknown>;
  } catch (error) {
    throw new Error(`${file} cannot be read as a Chameleon checkpoint's configuration: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

async function writeJson(file: string, value: unknown): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(value, null, 2)}\n`);
}
