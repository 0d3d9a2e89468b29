/**
 * The independent scorer of the mini world: reads from an image what stands where, in which color, who it is and on
 * which background. Evaluation alone uses it; no reward does. It was taught on scenes of both splits and on all concepts:
 * a detector of truth has to know everything that can be shown.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../io/write-file';
import { readValues, releaseTraced, type Rng, runTraced, tf } from '../../engine';
import { readSafetensors, writeSafetensors } from '../../io';
import { dataFolder } from '../../io/package-root';
import type { ConvBackboneConfig } from '../../nn/conv-backbone';
import { ParamStore } from '../../nn/store';
import { decodeDetections, type Detections } from './decode';
import { CATEGORIES, CELLS, COLORS, BACKGROUNDS, IDENTITIES } from './labels';
import { DETECTOR_BACKBONE, DetectorNetwork, HEAD_SIZES } from './network';

/** What `config.json` of a detector's checkpoint holds: the names are checked against those of the code. */
interface DetectorFile {
  readonly model_type: 'scene-reader';
  readonly trunk: ConvBackboneConfig;
  readonly categories: readonly string[];
  readonly colors: readonly string[];
  readonly identities: readonly string[];
  readonly grounds: readonly string[];
}

const NAMES = { categories: CATEGORIES, colors: COLORS, identities: IDENTITIES, grounds: BACKGROUNDS } as const;

/** Where the detector that ships lies. */
export const DETECTOR_FOLDER = 'scene-reader';

/** Images read at once. */
const CHUNK = 64;

export class SceneDetector {
  /** Computes with the parameters. */
  readonly net: DetectorNetwork;

  constructor(
    readonly parameters: ParamStore,
    readonly backbone: ConvBackboneConfig = DETECTOR_BACKBONE,
  ) {
    this.net = new DetectorNetwork(backbone).with(parameters);
  }

  /** A detector that has learned nothing yet. */
  static random(rng: Rng, backbone: ConvBackboneConfig = DETECTOR_BACKBONE): SceneDetector {
    return new SceneDetector(ParamStore.random(new DetectorNetwork(backbone), rng), backbone);
  }

  /**
   * Loads a folder written by {@link SceneDetector.save}; default: the detector that ships.
   * @throws Error naming the file that is missing, damaged, or of another mini world
   */
  static async load(folder: string = dataFolder('checkpoints', DETECTOR_FOLDER)): Promise<SceneDetector> {
    const file = path.join(folder, 'config.json');
    let config: DetectorFile;
    try {
      config = JSON.parse(await readFile(file, 'utf8')) as DetectorFile;
    } catch (error) {
      throw new Error(
        `${file} cannot be read as a scene detector's configuration: ${(error as Error).message}; \`unilab train detector\` makes one`,
        { cause: error },
      );
    }
    if (config.model_type !== 'scene-reader')
      throw new Error(`${file}: model_type is ${JSON.stringify(config.model_type)}, expected "scene-reader"`);
    for (const [key, names] of Object.entries(NAMES)) {
      if (config[key as keyof typeof NAMES]?.join() !== names.join()) {
        throw new Error(
          `${file}: its ${key} are not those of this mini world; train the detector again: unilab train detector`,
        );
      }
    }
    const weights = path.join(folder, 'model.safetensors');
    const net = new DetectorNetwork(config.trunk);
    return new SceneDetector(ParamStore.fromTensors(net, await readSafetensors(weights), weights), config.trunk);
  }

  /** Saves as {@link SceneDetector.load} reads, bf16; `config.json` last, so that half a folder is not a checkpoint. */
  async save(folder: string): Promise<void> {
    await writeSafetensors(path.join(folder, 'model.safetensors'), this.parameters.writable('BF16'));
    const file: DetectorFile = { model_type: 'scene-reader', trunk: this.backbone, ...NAMES };
    await writeFileAtomic(path.join(folder, 'config.json'), `${JSON.stringify(file, null, 2)}\n`);
  }

  /**
   * What images show.
   * @param pixels `[n, 64, 64, 3]` in [-1, 1]; neither changed nor disposed
   * @throws RangeError for another shape
   */
  detect(pixels: tf.Tensor4D): Detections[] {
    const out: Detections[] = [];
    for (let from = 0; from < pixels.shape[0]; from += CHUNK)
      out.push(...this.detectChunk(pixels, from, Math.min(CHUNK, pixels.shape[0] - from)));
    return out;
  }

  private detectChunk(pixels: tf.Tensor4D, from: number, count: number): Detections[] {
    const outputs = runTraced(this, 'detector', () => {
      const part = tf.slice(pixels, [from, 0, 0, 0], [count, -1, -1, -1]);
      const o = this.net.forward(part);
      return [tf.softmax(o.category), tf.softmax(o.color), tf.softmax(o.identity), o.offset, tf.softmax(o.background)];
    });
    const [category, color, identity, offset, background] = outputs.map((tensor) => readValues(() => tensor));
    const part = (values: Float32Array, i: number, width: number) => values.slice(i * width, (i + 1) * width);
    return Array.from({ length: count }, (_, i) =>
      decodeDetections({
        category: part(category, i, CELLS * HEAD_SIZES[0]),
        color: part(color, i, CELLS * HEAD_SIZES[1]),
        identity: part(identity, i, CELLS * HEAD_SIZES[2]),
        offset: part(offset, i, CELLS * HEAD_SIZES[3]),
        background: part(background, i, BACKGROUNDS.length),
      }),
    );
  }

  dispose(): void {
    releaseTraced(this);
    this.parameters.dispose();
  }
}
