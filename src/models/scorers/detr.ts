/**
 * DETR (Carion et al. 2020, arXiv 2005.12872): objects of an image with their boxes, in transformers' layout and in that
 * of the published checkpoints (facebook/detr-resnet-50, whose backbone has timm's names). GenEval's detector from a
 * folder; the paper's own is Mask2Former.
 */
import { type Rng, tf } from '../../engine';
import { type Image, imagesToTensor, resampleImage } from '../../io';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ParamStore } from '../../nn/store';
import { ConfigFields } from './bert/fields';
import { type FrozenNetwork, loadFrozen, randomFrozen } from './bert/load';
import { type DetrConfig, DetrNetwork, type DetrOutput } from './detr/network';
import type { ResNetConfig } from './detr/resnet';
import { checkModelType, readConfigJson } from './vision/config';

export type { DetrConfig, DetrOutput } from './detr/network';

/** Images are brought to this size: the shorter side, and at most so long the longer one. */
export interface DetrSize {
  readonly shortest: number;
  readonly longest: number;
}

const PUBLISHED_SIZE: DetrSize = { shortest: 800, longest: 1333 };
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];

/** timm's `resnet50` and its like, which published configurations name. */
const NAMED_BACKBONES: Readonly<Record<string, ResNetConfig>> = {
  resnet50: bottlenecks([3, 4, 6, 3]),
  resnet101: bottlenecks([3, 4, 23, 3]),
};

function bottlenecks(depths: readonly number[]): ResNetConfig {
  return { embedding: 64, hidden: [256, 512, 1024, 2048], depths, block: 'bottleneck', downsampleFirst: false };
}

/** GenEval's words for classes of COCO, where they differ. */
const ALIASES: Readonly<Record<string, string>> = {
  'computer mouse': 'mouse',
  'tv remote': 'remote',
  'computer keyboard': 'keyboard',
};

export interface DetrObject {
  readonly label: string;
  readonly score: number;
  /** Pixels of the image that was given. */
  readonly box: readonly [left: number, top: number, right: number, bottom: number];
}

/** @throws ScorerConfigError listing every field at fault */
export function detrConfigFromUpstream(json: Readonly<Record<string, unknown>>, where: string): DetrConfig {
  const fields = ConfigFields.of(json, where);
  checkModelType(fields, 'detr');
  if (json.dilation === true) fields.fault('dilation is true: a backbone with dilation is not known');
  if ((json.position_embedding_type ?? 'sine') !== 'sine')
    fields.fault(`position_embedding_type is ${JSON.stringify(json.position_embedding_type)}, expected "sine"`);
  const names = Object.entries((json.id2label ?? {}) as Readonly<Record<string, string>>);
  const labels: string[] = [];
  for (const [id, label] of names) labels[Number(id)] = label;
  // Ids that COCO left out have no name.
  const filled = Array.from(labels, (label) => label ?? 'N/A');
  if (filled.length === 0) fields.fault('id2label is missing or empty');
  const side = (part: 'encoder' | 'decoder') => ({
    layers: fields.size(`${part}_layers`, 6),
    heads: fields.size(`${part}_attention_heads`, 8),
    intermediate: fields.size(`${part}_ffn_dim`, 2048),
  });
  const config: DetrConfig = {
    backbone: backboneOf(json, fields),
    width: fields.size('d_model', 256),
    queries: fields.size('num_queries', 100),
    encoder: side('encoder'),
    decoder: side('decoder'),
    labels: filled,
  };
  fields.check();
  return config;
}

function backboneOf(json: Readonly<Record<string, unknown>>, fields: ConfigFields): ResNetConfig {
  const given = json.backbone_config as Readonly<Record<string, unknown>> | null | undefined;
  if (given?.model_type !== 'resnet') {
    // timm's backbone: published configurations name it in one of these places.
    const named = [given?.backbone, json.backbone].find((one) => typeof one === 'string') ?? 'resnet50';
    const name = named.replace(/\..*$/, '');
    if (Object.hasOwn(NAMED_BACKBONES, name)) return NAMED_BACKBONES[name];
    fields.fault(`backbone is "${name}", expected ${Object.keys(NAMED_BACKBONES).join(' or ')}`);
    return NAMED_BACKBONES.resnet50;
  }
  if (given.downsample_in_bottleneck === true) fields.fault('backbone_config.downsample_in_bottleneck is not known');
  return {
    embedding: Number(given.embedding_size ?? 64),
    hidden: (given.hidden_sizes ?? [256, 512, 1024, 2048]) as number[],
    depths: (given.depths ?? [3, 4, 6, 3]) as number[],
    block: given.layer_type === 'basic' ? 'basic' : 'bottleneck',
    downsampleFirst: given.downsample_in_first_stage === true,
  };
}

export class Detr {
  readonly parameters: ParamStore;
  private readonly net: DetrNetwork;
  private readonly labels: ReadonlySet<string>;

  private constructor(
    readonly config: DetrConfig,
    { net, parameters }: FrozenNetwork<DetrNetwork>,
    readonly size: DetrSize,
  ) {
    this.net = net;
    this.parameters = parameters;
    this.labels = new Set(config.labels);
  }

  /** A frozen one with random weights. */
  static random(config: DetrConfig, rng: Rng, size: DetrSize = PUBLISHED_SIZE): Detr {
    return new Detr(config, randomFrozen(new DetrNetwork(config), rng), size);
  }

  /**
   * Loads a folder: `config.json`, `model.safetensors`, and `preprocessor_config.json` where there is one.
   * @throws ScorerConfigError, CheckpointMismatchError or SafetensorsError saying what does not fit
   */
  static async fromPretrained(folder: string): Promise<Detr> {
    const { json, file } = await readConfigJson(folder);
    const config = detrConfigFromUpstream(json, file);
    const network = await loadFrozen(folder, new DetrNetwork(config), () => ({
      rename: moduleName,
      ignore: (name) => name.endsWith('num_batches_tracked'),
    }));
    return new Detr(config, network, await sizeOf(folder));
  }

  /** `detr_resnet50`, `detr_resnet101`; for shapes that were not published the width and the layers. */
  get name(): string {
    const known = Object.entries(NAMED_BACKBONES).find(
      ([, { hidden, depths }]) =>
        hidden.join() === this.config.backbone.hidden.join() && depths.join() === this.config.backbone.depths.join(),
    );
    const { width, encoder } = this.config;
    return known && width === 256 && encoder.layers === 6 ? `detr_${known[0]}` : `detr_${width}x${encoder.layers}`;
  }

  /** Whether it has a class of this name. */
  knows(label: string): boolean {
    return this.labels.has(ALIASES[label] ?? label);
  }

  /** @param pixels `[batch, height, width, 3]`, normalized @returns logits and boxes, the caller's to dispose */
  forward(pixels: tf.Tensor4D): DetrOutput {
    return this.net.forward(pixels);
  }

  /** Objects of each image, the most confident first; those that are likelier no object at all are left out. */
  async detect(images: readonly Image[]): Promise<DetrObject[][]> {
    const out: DetrObject[][] = [];
    // One at a time: images of different sizes would have to be padded.
    for (const image of images) {
      const pixels = this.process(image);
      const { logits, boxes } = this.forward(pixels);
      const probabilities = tf.softmax(logits);
      try {
        out.push(this.objectsOf(await probabilities.data<'float32'>(), await boxes.data<'float32'>(), image));
      } finally {
        tf.dispose([pixels, logits, boxes, probabilities]);
      }
    }
    return out;
  }

  /** The image in the model's size and numbers, `[1, height, width, 3]`; the caller's to dispose. */
  process(image: Image): tf.Tensor4D {
    const [width, height] = resized(image.width, image.height, this.size);
    const same = width === image.width && height === image.height;
    const scaled = same ? image : resampleImage(image, width, height, 'bilinear');
    return tf.tidy(() => {
      const share = tf.div(tf.add(imagesToTensor([scaled]), 1), 2);
      return tf.div(tf.sub(share, tf.tensor1d(MEAN)), tf.tensor1d(STD));
    });
  }

  dispose(): void {
    this.parameters.dispose();
  }

  private objectsOf(probabilities: Float32Array, boxes: Float32Array, { width, height }: Image): DetrObject[] {
    const classes = this.config.labels.length + 1;
    const objects: DetrObject[] = [];
    for (let q = 0; q < this.config.queries; q++) {
      const own = probabilities.subarray(q * classes, (q + 1) * classes);
      const best = own.indexOf(Math.max(...own));
      if (best === classes - 1) continue;
      const [x, y, w, h] = boxes.subarray(q * 4, q * 4 + 4);
      const box = [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height] as const;
      objects.push({ label: this.spoken(this.config.labels[best]), score: own[best], box });
    }
    return objects.sort((a, b) => b.score - a.score);
  }

  /** GenEval's word for a class. */
  private spoken(label: string): string {
    return Object.entries(ALIASES).find(([, coco]) => coco === label)?.[0] ?? label;
  }
}

async function sizeOf(folder: string): Promise<DetrSize> {
  const text = await readFile(path.join(folder, 'preprocessor_config.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return PUBLISHED_SIZE;
  const { size, max_size: longest } = JSON.parse(text) as { size?: unknown; max_size?: number };
  const given = (typeof size === 'number' ? { shortest_edge: size, longest_edge: longest } : size) as
    { shortest_edge?: number; longest_edge?: number } | undefined;
  return {
    shortest: given?.shortest_edge ?? PUBLISHED_SIZE.shortest,
    longest: given?.longest_edge ?? PUBLISHED_SIZE.longest,
  };
}

/** The shorter side as long as asked, unless the longer one would be too long. */
export function resized(
  width: number,
  height: number,
  { shortest, longest }: DetrSize,
): [width: number, height: number] {
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  const limited = (long / short) * shortest > longest ? (longest * short) / long : undefined;
  const side = limited === undefined ? shortest : Math.round(limited);
  if (short === side) return [width, height];
  const other = Math.trunc(((limited ?? side) * long) / short);
  return width < height ? [side, other] : [other, side];
}

/** The module's name of a stored tensor: transformers 5's, older transformers', and timm's for the backbone. */
export function moduleName(stored: string): string {
  return stored
    .replace(/^model\.backbone\.(conv_encoder\.)?model\./, 'backbone.')
    .replace(/^model\./, '')
    .replace(/^backbone\.conv1\./, 'backbone.embedder.embedder.convolution.')
    .replace(/^backbone\.bn1\./, 'backbone.embedder.embedder.normalization.')
    .replace(
      /^backbone\.layer(\d+)\.(\d+)\./,
      (_, stage: string, block: string) => `backbone.encoder.stages.${Number(stage) - 1}.layers.${block}.`,
    )
    .replace(/\.conv(\d)\.weight$/, (_, i: string) => `.layer.${Number(i) - 1}.convolution.weight`)
    .replace(/\.bn(\d)\.(\w+)$/, (_, i: string, part: string) => `.layer.${Number(i) - 1}.normalization.${part}`)
    .replace('.downsample.0.', '.shortcut.convolution.')
    .replace('.downsample.1.', '.shortcut.normalization.')
    .replace('.out_proj.', '.o_proj.')
    .replace(/(\.layers\.\d+)\.(fc[12])\./, '$1.mlp.$2.');
}
