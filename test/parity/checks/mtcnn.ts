/** MTCNN: each network on given pixels, then whole detections: boxes, probabilities, landmarks, the face cut out. */
import { stat } from 'node:fs/promises';
import * as path from 'node:path';
import { tf } from '../../../src/engine';
import { type Image, type RawTensor, readImage, readSafetensors, toFloat32 } from '../../../src/io';
import { cropFace, Mtcnn, type MtcnnTrace } from '../../../src/models/scorers/mtcnn';
import { type Check, close, same } from './check';

interface Description {
  /** `this folder`, or where the weights lie. */
  weights?: string;
  options?: {
    min_face_size?: number;
    thresholds?: [number, number, number];
    factor?: number;
    select_largest?: boolean;
  };
  pictures: Record<string, unknown>;
}

type Tensors = Record<string, RawTensor>;

const NETWORKS = 1e-4;
const PIXELS = 0.05;
const PROBABILITY = 1e-3;
/** Grey levels. */
const CROP = 1;

export async function* parity(
  folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const { weights, options, pictures } = description as unknown as Description;
  const mtcnn = await Mtcnn.load(await weightsFolder(folder, weights), {
    ...(options?.min_face_size === undefined ? {} : { minFaceSize: options.min_face_size }),
    ...(options?.thresholds === undefined ? {} : { thresholds: options.thresholds }),
    ...(options?.factor === undefined ? {} : { factor: options.factor }),
    order: options?.select_largest === false ? 'probability' : 'size',
  });
  try {
    const expected = await readSafetensors(path.join(folder, 'expected.safetensors'));
    yield* networkChecks(mtcnn, await readSafetensors(path.join(folder, 'inputs.safetensors')), expected);
    const names = Object.keys(pictures);
    const read = await Promise.all(names.map((name) => readImage(path.join(folder, `${name}.png`))));
    const traces = mtcnn.traces(read);
    for (const [i, name] of names.entries()) yield* imageChecks(name, read[i], traces[i], expected);
  } finally {
    mtcnn.dispose();
  }
}

/** The folder itself, or the one that the case names, or one of the kind beside it. */
async function weightsFolder(folder: string, named = ''): Promise<string> {
  const places = [folder, path.resolve(folder, named), path.join(folder, '..', 'mtcnn')];
  for (const place of places) if (await stat(path.join(place, 'pnet.safetensors')).catch(() => undefined)) return place;
  return folder;
}

function* networkChecks(mtcnn: Mtcnn, inputs: Tensors, expected: Tensors): Generator<Check> {
  const runs: Record<string, (x: tf.Tensor4D) => object> = {
    pnet: (x) => mtcnn.networks.pnet.forward(x),
    rnet: (x) => mtcnn.networks.rnet.forward(x),
    onet: (x) => mtcnn.networks.onet.forward(x),
  };
  const quantities = { regression: 'reg', probability: 'prob', points: 'points' };
  for (const [name, run] of Object.entries(runs)) {
    const input = inputs[`${name}_input`];
    if (!input) continue;
    const results: Record<string, tf.Tensor> = tf.tidy(() => {
      const nchw = tf.tensor<tf.Rank.R4>(toFloat32(input), input.shape as [number, number, number, number]);
      const found = Object.entries(run(tf.transpose(nchw, [0, 2, 3, 1])) as Record<string, tf.Tensor>);
      return Object.fromEntries(found.map(([key, x]) => [key, x.rank === 4 ? tf.transpose(x, [0, 3, 1, 2]) : x]));
    });
    for (const [key, quantity] of Object.entries(quantities)) {
      const wanted = expected[`${name}_${quantity}`];
      if (wanted) yield close(name, quantity, results[key].dataSync(), toFloat32(wanted), NETWORKS);
    }
    tf.dispose(results);
  }
}

function* imageChecks(name: string, image: Image, trace: MtcnnTrace, expected: Tensors): Generator<Check> {
  const { faces, counts, crops, scores } = trace;
  // What upstream does not find it does not write down: then there must be nothing here, either.
  const wanted = (quantity: string): ArrayLike<number> => {
    const raw = expected[`${name}_${quantity}`];
    return raw ? toFloat32(raw) : [];
  };
  if (expected[`${name}_stage_counts`]) yield same(name, 'stage_counts', counts, Array.from(wanted('stage_counts')));
  const boxes = faces.flatMap((face) => face.box);
  const probabilities = faces.map((face) => face.probability);
  const landmarks = faces.flatMap((face) => face.landmarks.flat());
  yield close(name, 'boxes', boxes, wanted('boxes'), PIXELS);
  yield close(name, 'probs', probabilities, wanted('probs'), PROBABILITY);
  yield close(name, 'landmarks', landmarks, wanted('landmarks'), PIXELS);
  const seen = expected[`${name}_onet_input`];
  if (seen) {
    const [count, , side] = seen.shape;
    yield close(name, 'onet_input', nchw(crops, count, side), toFloat32(seen), NETWORKS);
  }
  if (expected[`${name}_onet_scores`]) yield close(name, 'onet_scores', scores, wanted('onet_scores'), PROBABILITY);
  const face = expected[`${name}_face0_160`];
  if (face && faces.length > 0) {
    const { rgb, width } = cropFace(image, faces[0].box, { size: face.shape[1] });
    yield close(name, 'face0', nchw(rgb, 1, width), toFloat32(face), CROP);
  }
}

/** The first `count` square NHWC images as NCHW. */
function nchw(values: ArrayLike<number>, count: number, side: number): Float32Array {
  const places = side * side;
  return Float32Array.from({ length: count * 3 * places }, (_, i) => {
    const [image, rest] = [Math.floor(i / (3 * places)), i % (3 * places)];
    return values[(image * places + (rest % places)) * 3 + Math.floor(rest / places)];
  });
}
