/**
 * FaceNet (Schroff et al. 2015) as InceptionResnetV1: a face to a unit vector of 512 numbers, whose cosine says whether
 * two faces are one person's. Weights are facenet-pytorch's state dicts (VGGFace2, CASIA-WebFace). Frozen.
 */
import { releaseTraced, type Rng, tf, tracedValues } from '../../engine';
import { openSafetensors, type Image } from '../../io';
import { ParamStore } from '../../nn/store';
import { l2Normalize } from '../../nn/vqgan-codebook';
import { frozen, type FrozenNetwork, randomFrozen } from './bert/load';
import { EMBEDDING_SIZE, FaceNetNetwork, LEAST_SIDE } from './facenet/network';

/** Faces embedded at once. */
const CHUNK = 16;

/** Images of one size as `[n, height, width, 3]`, (value - 127.5) / 128. @throws RangeError for none, or mixed sizes */
export function fixedImageStandardization(faces: readonly Image[]): tf.Tensor4D {
  if (faces.length === 0) throw new RangeError('no faces were given');
  const { width, height } = faces[0];
  const odd = faces.findIndex((face) => face.width !== width || face.height !== height);
  if (odd >= 0) {
    throw new RangeError(
      `face ${odd} is ${faces[odd].width} x ${faces[odd].height}, the first ${width} x ${height}; one batch needs one size`,
    );
  }
  const size = width * height * 3;
  const values = new Float32Array(faces.length * size);
  faces.forEach(({ rgb }, i) => {
    for (let j = 0; j < size; j++) values[i * size + j] = (rgb[j] - 127.5) / 128;
  });
  return tf.tensor4d(values, [faces.length, height, width, 3]);
}

export class FaceNet {
  readonly name = 'facenet';
  readonly size = EMBEDDING_SIZE;

  /** Classes of the classifier that came with the weights; 0 without one. */
  readonly classes: number;
  readonly parameters: ParamStore;
  private readonly net: FaceNetNetwork;

  private constructor({ net, parameters }: FrozenNetwork<FaceNetNetwork>) {
    this.classes = net.config.classes;
    this.net = net;
    this.parameters = parameters;
  }

  /** One that has learned nothing yet. @param classes default 8631, as many people as VGGFace2 trains on */
  static random(rng: Rng, classes = 8631): FaceNet {
    return new FaceNet(randomFrozen(new FaceNetNetwork({ classes }), rng));
  }

  /**
   * Loads facenet-pytorch's state dict, saved as safetensors (in Python:
   * `safetensors.torch.save_file(InceptionResnetV1(pretrained='vggface2').state_dict(), 'model.safetensors')`).
   * @param where the file, or a folder that holds it
   * @throws CheckpointMismatchError or SafetensorsError naming file and tensors
   */
  static async load(where: string): Promise<FaceNet> {
    const reader = await openSafetensors(where);
    try {
      const classes = reader.tensors.get('logits.weight')?.shape[0] ?? 0;
      // Counters of training steps: no numbers of the network's.
      const ignore = (name: string): boolean => name.endsWith('.num_batches_tracked');
      const net = new FaceNetNetwork({ classes });
      return new FaceNet(frozen(net, await ParamStore.read(net, reader, where, { ignore })));
    } finally {
      await reader.close();
    }
  }

  /**
   * @param faces `[batch, height, width, 3]` as {@link fixedImageStandardization} makes them; 160 x 160 in training
   * @returns unit vectors `[batch, 512]`; the caller disposes them
   * @throws RangeError for another shape, or sides below 75
   */
  embeddings(faces: tf.Tensor4D): tf.Tensor2D {
    checkFaces(faces);
    return tf.tidy(() => l2Normalize(this.net.forward(faces)));
  }

  /**
   * Scores of the classes that training knew, `[batch, classes]`; the caller disposes them.
   * @throws Error when the weights came without a classifier; RangeError as {@link embeddings}
   */
  logits(faces: tf.Tensor4D): tf.Tensor2D {
    checkFaces(faces);
    const { logits } = this.net;
    if (!logits) throw new Error('these FaceNet weights have no classifier (logits.weight)');
    return tf.tidy(() => logits.forward(this.net.forward(faces)));
  }

  /** One vector a face; faces are of one size, e.g. `cropFace`'s. An empty list gives an empty list. */
  embed(faces: readonly Image[]): Float32Array[] {
    const out: Float32Array[] = [];
    for (let at = 0; at < faces.length; at += CHUNK) {
      const part = faces.slice(at, at + CHUNK);
      const flat = tracedValues(this, 'facenet', () => this.embeddings(fixedImageStandardization(part)));
      part.forEach((_, i) => out.push(flat.slice(i * EMBEDDING_SIZE, (i + 1) * EMBEDDING_SIZE)));
    }
    return out;
  }

  dispose(): void {
    releaseTraced(this);
    this.parameters.dispose();
  }
}

function checkFaces(faces: tf.Tensor4D): void {
  const [, height, width, channels] = faces.shape;
  if (faces.rank !== 4 || channels !== 3 || height < LEAST_SIDE || width < LEAST_SIDE) {
    throw new RangeError(
      `FaceNet sees faces [batch, height, width, 3] with sides of at least ${LEAST_SIDE}, got [${faces.shape}]`,
    );
  }
}
