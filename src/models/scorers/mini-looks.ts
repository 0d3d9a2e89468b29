/**
 * `mini_face` and `mini_figure`: recognizers of the mini world's drawings, which detectors and recognizers of photographs
 * do not know. Like FaceNet (Schroff et al. 2015) each is taught on others than those it is asked about: generic people,
 * animals and things, none of whom has the looks of a concept. `mini_face` sees people, and stands in for FER's MTCNN +
 * FaceNet where images are mini scenes; `mini_figure` sees whoever or whatever stands there, and has DINO's part in
 * DER. Both go by their own names. Frozen once trained.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../io/write-file';
import { releaseTraced, type Rng, tf, tracedValues } from '../../engine';
import { readSafetensors, writeSafetensors } from '../../io';
import { dataFolder } from '../../io/package-root';
import { backboneFeatures, backboneStride, ConvBackbone, type ConvBackboneConfig } from '../../nn/conv-backbone';
import { Linear } from '../../nn/layers';
import { Module } from '../../nn/module';
import { ParamStore } from '../../nn/store';

/** Which judge: its `model_type`, and the folder of the one that ships. */
export type LooksName = 'mini-face' | 'mini-figure';

/** Their stages of `unilab train`. */
const STAGES: Readonly<Record<LooksName, string>> = { 'mini-face': 'face', 'mini-figure': 'figure' };

/** What it tells apart, and in how many ways. */
export interface MiniLooksConfig {
  /** Side of the crops in pixels: a figure. */
  readonly size: number;
  readonly trunk: ConvBackboneConfig;
  readonly looks: Readonly<Record<string, readonly string[]>>;
}

interface MiniLooksFile {
  readonly model_type: LooksName;
  readonly config: MiniLooksConfig;
}

/** Small: crops of 40 pixels with flat colors. */
export const MINI_LOOKS_TRUNK: ConvBackboneConfig = { channels: [24, 48, 96], blocks: [0, 1, 0] };

/** The heads are named after what they tell apart, `shape.weight`, beside `trunk`. */
export class LooksNetwork extends Module<MiniLooksConfig> {
  readonly trunk = new ConvBackbone(this.config.trunk);

  constructor(config: MiniLooksConfig) {
    super(config);
    const inputs = (config.size / backboneStride(config.trunk)) ** 2 * backboneFeatures(config.trunk);
    const heads = Object.entries(config.looks).map(([look, names]) => {
      return [look, new Linear(inputs, names.length, { std: inputs ** -0.5 })] as const;
    });
    Object.assign(this, Object.fromEntries(heads));
  }

  /** Logits of every look, `[n, ways]` each. */
  forward(crops: tf.Tensor4D): Record<string, tf.Tensor2D> {
    return tf.tidy(() => {
      const flat = tf.reshape<tf.Rank.R2>(this.trunk.forward(crops), [crops.shape[0], -1]);
      const heads = this as unknown as Readonly<Record<string, Linear>>;
      return Object.fromEntries(Object.keys(this.config.looks).map((look) => [look, heads[look].forward(flat)]));
    });
  }
}

export class MiniLooks {
  private readonly net: LooksNetwork;

  constructor(
    readonly name: LooksName,
    readonly config: MiniLooksConfig,
    readonly parameters: ParamStore,
  ) {
    this.net = new LooksNetwork(config).with(parameters);
  }

  /** One that has learned nothing yet. */
  static random(name: LooksName, config: MiniLooksConfig, rng: Rng): MiniLooks {
    return new MiniLooks(name, config, ParamStore.random(new LooksNetwork(config), rng));
  }

  /**
   * Loads a folder written by {@link MiniLooks.save}; default: the one that ships.
   * @throws Error naming the file that is missing or damaged
   */
  static async load(name: LooksName, folder: string = dataFolder('checkpoints', name)): Promise<MiniLooks> {
    const file = path.join(folder, 'config.json');
    let found: MiniLooksFile;
    try {
      found = JSON.parse(await readFile(file, 'utf8')) as MiniLooksFile;
    } catch (error) {
      throw new Error(
        `${file} cannot be read as the configuration of ${name}: ${(error as Error).message}; \`unilab train ${STAGES[name]}\` makes one`,
        { cause: error },
      );
    }
    if (found.model_type !== name)
      throw new Error(`${file}: model_type is ${JSON.stringify(found.model_type)}, expected "${name}"`);
    const weights = path.join(folder, 'model.safetensors');
    const net = new LooksNetwork(found.config);
    return new MiniLooks(name, found.config, ParamStore.fromTensors(net, await readSafetensors(weights), weights));
  }

  /** Saves as {@link MiniLooks.load} reads, bf16; `config.json` last, so that half a folder is not a checkpoint. */
  async save(folder: string): Promise<void> {
    await writeSafetensors(path.join(folder, 'model.safetensors'), this.parameters.writable('BF16'));
    const file: MiniLooksFile = { model_type: this.name, config: this.config };
    await writeFileAtomic(path.join(folder, 'config.json'), `${JSON.stringify(file, null, 2)}\n`);
  }

  /**
   * Logits of every look, `[n, ways]` each.
   * @param crops `[n, size, size, 3]` in [-1, 1] @throws RangeError for another shape
   */
  logits(crops: tf.Tensor4D): Record<string, tf.Tensor2D> {
    const { size } = this.config;
    if (crops.shape[1] !== size || crops.shape[2] !== size)
      throw new RangeError(`${this.name} sees crops [n, ${size}, ${size}, 3], got [${crops.shape}]`);
    return this.net.forward(crops);
  }

  /**
   * Unit vectors whose dot product is the mean over the looks of Bhattacharyya's coefficient, sum sqrt(p q): 1 when
   * both are surely the same, 0 when both are surely different in everything.
   * @param crops `[n, size, size, 3]` in [-1, 1] @param looks which of them count. Default: all
   */
  embed(crops: tf.Tensor4D, looks: readonly string[] = Object.keys(this.config.looks)): Float32Array[] {
    const ways = looks.reduce((sum, look) => sum + this.config.looks[look].length, 0);
    const flat = tracedValues(this, `${this.name}, ${looks.join()}`, () => {
      const logits = this.logits(crops);
      const parts = looks.map((look) => logits[look]);
      const roots = parts.map((logits) => tf.sqrt(tf.softmax(logits, 1)));
      return tf.div(tf.concat(roots, 1), Math.sqrt(parts.length));
    });
    return Array.from({ length: crops.shape[0] }, (_, i) => Float32Array.from(flat.subarray(i * ways, (i + 1) * ways)));
  }

  dispose(): void {
    releaseTraced(this);
    this.parameters.dispose();
  }
}
