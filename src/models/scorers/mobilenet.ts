/**
 * MobileNetV2 (width 1.4) features: the 1792 numbers before the classifier, from the model that the package `nsfwjs`
 * (MIT) carries as `mobilenet_v2_mid`. A stand-in for DINO and FaceNet where those are not at hand; in tables and plots
 * it stands under its own name. The network was fine-tuned on photographs and drawings of people.
 */
import * as path from 'node:path';
import { tf } from '../../engine';
import { type ModelJson, loadGraphParts } from './graph-files';

const side = 224;

/** Images to feature vectors. */
export class MobileNet {
  readonly name = 'mobilenet_v2';
  readonly size = 1792;

  private constructor(
    private readonly model: tf.GraphModel,
    /** The node whose output is the features. */
    private readonly node: string,
  ) {}

  /** Loads it from the installed package: no network. The engine must run. @throws Error when the package is missing or changed */
  static async load(): Promise<MobileNet> {
    // The package's own loaders copy the weights' text letter by letter, which takes seconds: its files are taken directly.
    const folder = path.resolve(
      path.dirname(require.resolve('nsfwjs/models/mobilenet_v2_mid')),
      '../../models/mobilenet_v2_mid',
    );
    const json = require(path.join(folder, 'model.min.js')) as ModelJson;
    const names = json.weightsManifest.flatMap(({ paths }) => paths);
    const pieces = names.map((name) => Buffer.from(require(path.join(folder, `${name}.min.js`)) as string, 'base64'));
    // The features go into the one dense layer: found by its operation, as names may change with the package.
    const { node: nodes } = json.modelTopology as { node: { op: string; input?: string[] }[] };
    const node = nodes.find(({ op }) => op === '_FusedMatMul' || op === 'MatMul')?.input?.[0];
    if (!node)
      throw new Error("nsfwjs's mobilenet_v2_mid has no dense layer: this version of the package is not known");
    return new MobileNet(await loadGraphParts(json, pieces), node);
  }

  /**
   * @param images `[n, height, width, 3]` in [-1, 1], any size: resized to 224 (bilinear)
   * @returns `[n, 1792]`; the caller disposes it
   */
  features(images: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => {
      const resized = tf.image.resizeBilinear(images, [side, side]);
      const unitRange = tf.div(tf.add(resized, 1), 2); // the graph itself goes on to [-1, 1]
      return tf.reshape<tf.Rank.R2>(this.model.execute(unitRange, this.node) as tf.Tensor, [
        images.shape[0],
        this.size,
      ]);
    });
  }

  /** {@link features} as plain numbers, one vector an image, `batch` (default 16) images at a time. */
  async embed(images: tf.Tensor4D, batch = 16): Promise<Float32Array[]> {
    const out: Float32Array[] = [];
    for (let at = 0; at < images.shape[0]; at += batch) {
      const part = tf.tidy(() =>
        this.features(tf.slice(images, [at, 0, 0, 0], [Math.min(batch, images.shape[0] - at), -1, -1, -1])),
      );
      const data = await part.data<'float32'>();
      for (let i = 0; i < part.shape[0]; i++) out.push(data.slice(i * this.size, (i + 1) * this.size));
      part.dispose();
    }
    return out;
  }

  dispose(): void {
    this.model.dispose();
  }
}

/**
 * Features minus the mean of a reference set. Images of one style share most of their features: without this, every
 * cosine is near 1 and tells little.
 * @param reference at least two vectors of one length
 * @throws RangeError for fewer
 */
export function centring(reference: readonly Float32Array[]): (feature: Float32Array) => Float32Array {
  if (reference.length < 2)
    throw new RangeError(`a mean to be taken off needs at least two features, got ${reference.length}`);
  const mean = new Float32Array(reference[0].length);
  for (const feature of reference) for (let i = 0; i < mean.length; i++) mean[i] += feature[i] / reference.length;
  return (feature) => feature.map((v, i) => v - mean[i]);
}
