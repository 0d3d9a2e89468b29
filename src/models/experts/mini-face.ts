/**
 * `mini_face`: a recogniser of the mini world's drawn people, which detectors and recognisers of photographs do not
 * know. Like FaceNet (Schroff et al. 2015) it is taught on other people than those it is asked about: the generic
 * pool, none of whom has the looks of a concept. It stands in for FER's MTCNN + FaceNet where pictures are mini scenes,
 * and goes by its own name. Frozen once trained.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { linear, readValues, type Stream, tf } from '../../engine';
import { readSafetensors, writeSafetensors } from '../../io';
import { dataFolder } from '../../io/package-root';
import { type ParameterSpec, Parameters } from '../../nn/parameters';
import { declareTrunk, trunk, type TrunkConfig, trunkStride } from '../../nn/trunk';

/** Where the one that ships lies. */
export const MINI_FACE_FOLDER = 'mini-face';

/** What it tells apart, and in how many ways. */
export interface MiniFaceConfig {
  /** Side of the crops in pixels: a person's figure. */
  readonly size: number;
  readonly trunk: TrunkConfig;
  readonly looks: Readonly<Record<string, readonly string[]>>;
}

interface MiniFaceFile {
  readonly model_type: 'mini-face';
  readonly config: MiniFaceConfig;
}

/** Small: crops of 40 pixels with flat colours. */
export const MINI_FACE_TRUNK: TrunkConfig = { channels: [24, 48, 96], blocks: [0, 1, 0] };

function specs({ size, trunk: net, looks }: MiniFaceConfig): Record<string, ParameterSpec> {
  const out: Record<string, ParameterSpec> = {};
  declareTrunk(out, 'trunk', net);
  const inputs = (size / trunkStride(net)) ** 2 * net.channels[net.channels.length - 1];
  for (const [look, names] of Object.entries(looks)) {
    out[`${look}.weight`] = { shape: [names.length, inputs], init: { normal: inputs ** -0.5 } };
    out[`${look}.bias`] = { shape: [names.length], init: { constant: 0 } };
  }
  return out;
}

export class MiniFace {
  constructor(
    readonly config: MiniFaceConfig,
    readonly parameters: Parameters,
  ) {}

  /** One that has learned nothing yet. */
  static random(config: MiniFaceConfig, stream: Stream): MiniFace {
    return new MiniFace(config, Parameters.random(specs(config), stream));
  }

  /**
   * Loads a folder written by {@link MiniFace.save}; default: the one that ships.
   * @throws Error naming the file that is missing or damaged
   */
  static async load(folder: string = dataFolder('checkpoints', MINI_FACE_FOLDER)): Promise<MiniFace> {
    const file = path.join(folder, 'config.json');
    let found: MiniFaceFile;
    try {
      found = JSON.parse(await readFile(file, 'utf8')) as MiniFaceFile;
    } catch (error) {
      throw new Error(
        `${file} cannot be read as mini_face's configuration: ${(error as Error).message}; \`unilab train face\` makes one`,
        { cause: error },
      );
    }
    if (found.model_type !== 'mini-face')
      throw new Error(`${file}: model_type is ${JSON.stringify(found.model_type)}, expected "mini-face"`);
    const weights = path.join(folder, 'model.safetensors');
    return new MiniFace(
      found.config,
      Parameters.fromTensors(specs(found.config), await readSafetensors(weights), weights),
    );
  }

  /** Saves as {@link MiniFace.load} reads, bf16; `config.json` last, so that half a folder is not a checkpoint. */
  async save(folder: string): Promise<void> {
    const values = Object.entries(await this.parameters.values());
    await writeSafetensors(
      path.join(folder, 'model.safetensors'),
      Object.fromEntries(values.map(([name, v]) => [name, { ...v, dtype: 'BF16' as const }])),
    );
    const file: MiniFaceFile = { model_type: 'mini-face', config: this.config };
    await writeFileAtomic(path.join(folder, 'config.json'), `${JSON.stringify(file, null, 2)}\n`);
  }

  /**
   * Logits of every look, `[n, ways]` each.
   * @param crops `[n, size, size, 3]` in [-1, 1] @throws RangeError for another shape
   */
  logits(crops: tf.Tensor4D): Record<string, tf.Tensor2D> {
    const { size, looks } = this.config;
    if (crops.shape[1] !== size || crops.shape[2] !== size)
      throw new RangeError(`mini_face sees crops [n, ${size}, ${size}, 3], got [${crops.shape}]`);
    return tf.tidy(() => {
      const map = trunk(this.parameters, 'trunk', this.config.trunk, crops);
      const flat = tf.reshape<tf.Rank.R2>(map, [crops.shape[0], -1]);
      const head = (name: string) =>
        linear(flat, this.parameters.get(`${name}.weight`), this.parameters.get(`${name}.bias`)) as tf.Tensor2D;
      return Object.fromEntries(Object.keys(looks).map((look) => [look, head(look)]));
    });
  }

  /**
   * Unit vectors whose dot product is the mean over the looks of Bhattacharyya's coefficient, sum sqrt(p q): 1 when
   * both are surely the same, 0 when both are surely different in everything.
   * @param crops `[n, size, size, 3]` in [-1, 1]
   */
  embed(crops: tf.Tensor4D): Float32Array[] {
    const ways = Object.values(this.config.looks).reduce((sum, names) => sum + names.length, 0);
    const flat = readValues(() => {
      const parts = Object.values(this.logits(crops));
      const roots = parts.map((logits) => tf.sqrt(tf.softmax(logits, 1)));
      return tf.div(tf.concat(roots, 1), Math.sqrt(parts.length));
    });
    return Array.from({ length: crops.shape[0] }, (_, i) => Float32Array.from(flat.subarray(i * ways, (i + 1) * ways)));
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
