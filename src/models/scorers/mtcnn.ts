/**
 * MTCNN (Zhang et al. 2016): finds faces, their probability and five landmarks, as facenet-pytorch's code does. P-Net
 * proposes boxes on a pyramid of sizes, R-Net and O-Net look closer at what is left. Frozen.
 */
import * as path from 'node:path';
import { readValues, tf } from '../../engine';
import { type Image, readSafetensors } from '../../io';
import type { Module } from '../../nn/module';
import type { ParamStore } from '../../nn/store';
import { AreaTable } from './mtcnn/area';
import { type Box, pixelsOf, proposedBoxes, regressCrop, regressProposal, suppress, toSquare } from './mtcnn/boxes';
import type { DetectedFace } from './mtcnn/face';
import {
  type MtcnnNetworks,
  NETWORK_SIDES,
  networkFromTensors,
  type NetworkName,
  ONet,
  PNet,
  RNet,
} from './mtcnn/networks';

export { alignFace } from './mtcnn/align';
export { type CropOptions, cropFace } from './mtcnn/crop';
export type { DetectedFace } from './mtcnn/face';

export interface MtcnnOptions {
  /** Side of the smallest face looked for, pixels. Default 20. */
  readonly minFaceSize?: number;
  /** Least probability after P-Net, R-Net and O-Net. Default 0.6, 0.7, 0.7. */
  readonly thresholds?: readonly [number, number, number];
  /** Ratio of one size of the pyramid to the one before, in (0, 1). Default 0.709: half the area. */
  readonly factor?: number;
  /** The largest face first (default), or the most probable. */
  readonly order?: 'size' | 'probability';
}

/** What a detection went through, to be looked at. */
export interface MtcnnTrace {
  readonly faces: readonly DetectedFace[];
  /** Boxes that R-Net and O-Net looked at. */
  readonly counts: readonly [number, number];
  /** What O-Net saw, `[boxes, 48, 48, 3]` as (value - 127.5) / 128, and its probability of a face. */
  readonly crops: Float32Array;
  readonly scores: readonly number[];
}

/** Crops that go through a network at once, as upstream. */
const CHUNK = 512;
/** Pixels of one size of the pyramid that go through P-Net at once, over all images. */
const CHUNK_PIXELS = 2 ** 21;
/** Overlap above which the worse of two boxes goes: within one size of the pyramid, then everywhere. */
const SAME_SIZE_OVERLAP = 0.5;
const OVERLAP = 0.7;

export class Mtcnn {
  private readonly options: Required<MtcnnOptions>;

  /** @throws RangeError for options outside their ranges */
  constructor(
    readonly networks: MtcnnNetworks,
    /** Their numbers; disposed with this. */
    private readonly parameters: readonly ParamStore[],
    options: MtcnnOptions = {},
  ) {
    this.options = { minFaceSize: 20, thresholds: [0.6, 0.7, 0.7], factor: 0.709, order: 'size', ...options };
    const { minFaceSize, factor, thresholds } = this.options;
    if (!(minFaceSize >= 1)) throw new RangeError(`minFaceSize must be at least 1 pixel, got ${minFaceSize}`);
    if (!(factor > 0 && factor < 1)) throw new RangeError(`the pyramid's factor must be in (0, 1), got ${factor}`);
    if (thresholds.length !== 3 || !thresholds.every((t) => t >= 0 && t <= 1))
      throw new RangeError(`three thresholds in [0, 1] are needed, got [${thresholds.join(', ')}]`);
  }

  /**
   * Loads `pnet.safetensors`, `rnet.safetensors` and `onet.safetensors` of a folder: facenet-pytorch's state dicts, which
   * it carries as `data/*.pt` (in Python: `safetensors.torch.save_file(torch.load('pnet.pt'), 'pnet.safetensors')`).
   * @throws CheckpointMismatchError or SafetensorsError naming file and tensors
   */
  static async load(folder: string, options: MtcnnOptions = {}): Promise<Mtcnn> {
    const stores: ParamStore[] = [];
    const read = async <M extends Module>(name: NetworkName, make: (widths: readonly number[]) => M): Promise<M> => {
      const file = path.join(folder, `${name}.safetensors`);
      const { net, parameters } = networkFromTensors(name, make, await readSafetensors(file), file);
      stores.push(parameters);
      return net;
    };
    try {
      const pnet = await read('pnet', (widths) => new PNet(widths));
      const rnet = await read('rnet', (widths) => new RNet(widths));
      const onet = await read('onet', (widths) => new ONet(widths));
      return new Mtcnn({ pnet, rnet, onet }, stores, options);
    } catch (error) {
      for (const store of stores) store.dispose();
      throw error;
    }
  }

  /**
   * The faces of each image; an empty list where there is none. Images may differ in size; those of one size go
   * through P-Net together, the crops of all through the other two.
   * @throws RangeError for an image that lacks bytes
   */
  detect(images: readonly Image[]): DetectedFace[][] {
    return this.traces(images).map(({ faces }) => [...faces]);
  }

  /** The same with what happened on the way. */
  traces(images: readonly Image[]): MtcnnTrace[] {
    const tables = images.map((image) => new AreaTable(image));
    const proposed = this.propose(tables);
    const refined = this.refine(tables, proposed);
    const found = this.output(tables, refined);
    return found.map((rest, i) => ({ ...rest, counts: [proposed[i].length, refined[i].length] }));
  }

  dispose(): void {
    for (const store of this.parameters) store.dispose();
  }

  /** Sizes at which the image is looked at, as shares of its own. */
  private scales({ width, height }: Image): number[] {
    const scales: number[] = [];
    const first = NETWORK_SIDES.pnet / this.options.minFaceSize;
    let shorter = Math.min(width, height) * first;
    for (let scale = first; shorter >= NETWORK_SIDES.pnet; scale *= this.options.factor) {
      scales.push(scale);
      shorter *= this.options.factor;
    }
    return scales;
  }

  private propose(tables: readonly AreaTable[]): Box[][] {
    const found: Box[][] = tables.map(() => []);
    const sizes = new Map<string, number[]>();
    tables.forEach(({ image: { width, height } }, i) => {
      const key = `${width} ${height}`;
      sizes.set(key, [...(sizes.get(key) ?? []), i]);
    });
    for (const alike of sizes.values()) {
      const { image } = tables[alike[0]];
      for (const scale of this.scales(image)) {
        const [rows, columns] = [Math.trunc(image.height * scale + 1), Math.trunc(image.width * scale + 1)];
        const most = Math.max(1, Math.floor(CHUNK_PIXELS / (rows * columns)));
        for (let at = 0; at < alike.length; at += most) {
          const part = alike.slice(at, at + most);
          const looked = part.map((i) => tables[i]);
          const boxes = this.proposeAt(looked, rows, columns, scale);
          part.forEach((i, k) => found[i].push(...suppress(boxes[k], SAME_SIZE_OVERLAP).map((j) => boxes[k][j])));
        }
      }
    }
    return found.map((boxes) => suppress(boxes, OVERLAP).map((i) => toSquare(regressProposal(boxes[i]))));
  }

  /** P-Net on images of one size, at one size of the pyramid. */
  private proposeAt(tables: readonly AreaTable[], rows: number, columns: number, scale: number): Box[][] {
    const { width, height } = tables[0].image;
    const size = rows * columns * 3;
    const pixels = new Float32Array(tables.length * size);
    const whole = { left: 0, top: 0, right: width, bottom: height };
    tables.forEach((table, i) => table.resample(whole, rows, columns, pixels, i * size));
    let places: [number, number] = [0, 0];
    const values = readValues(() => {
      const { probability, regression } = this.networks.pnet.forward(
        tf.tensor4d(pixels, [tables.length, rows, columns, 3]),
      );
      places = [probability.shape[1], probability.shape[2]];
      return tf.concat([probability, regression], 3);
    });
    const each = values.length / tables.length;
    return tables.map((_, i) =>
      proposedBoxes(values.subarray(i * each, (i + 1) * each), ...places, scale, this.options.thresholds[0]),
    );
  }

  private refine(tables: readonly AreaTable[], proposed: readonly (readonly Box[])[]): Box[][] {
    const looked = look(tables, proposed, NETWORK_SIDES.rnet, (crops) => {
      const { probability, regression } = this.networks.rnet.forward(crops);
      return tf.concat([probability, regression], 1);
    });
    return looked.map(({ boxes, values }) => {
      const passed = boxes.flatMap((box, i) => {
        const [, score, ...regression] = values[i];
        return score > Math.fround(this.options.thresholds[1]) ? [{ ...box, score, regression }] : [];
      });
      return suppress(passed, OVERLAP).map((i) => toSquare(regressCrop(passed[i])));
    });
  }

  private output(tables: readonly AreaTable[], refined: readonly (readonly Box[])[]): Omit<MtcnnTrace, 'counts'>[] {
    const looked = look(tables, refined, NETWORK_SIDES.onet, (pixels) => {
      const { probability, regression, points } = this.networks.onet.forward(pixels);
      return tf.concat([probability, regression, points], 1);
    });
    return looked.map((seen) => ({
      faces: this.facesOf(seen),
      crops: seen.crops,
      scores: seen.values.map((row) => row[1]),
    }));
  }

  private facesOf({ boxes, values }: Looked): DetectedFace[] {
    const passed: Box[] = [];
    const landmarks: (readonly [number, number])[][] = [];
    boxes.forEach((box, i) => {
      const score = values[i][1];
      if (!(score > Math.fround(this.options.thresholds[2]))) return;
      const regression = values[i].slice(2, 6);
      const [width, height] = [box.x2 - box.x1 + 1, box.y2 - box.y1 + 1];
      const place = (k: number) =>
        [width * values[i][6 + k] + box.x1 - 1, height * values[i][11 + k] + box.y1 - 1] as const;
      landmarks.push([0, 1, 2, 3, 4].map(place));
      passed.push(regressCrop({ ...box, score, regression }));
    });
    const picked = suppress(passed, OVERLAP, 'smaller');
    if (this.options.order === 'size') {
      const size = ({ x1, y1, x2, y2 }: Box) => (x2 - x1) * (y2 - y1);
      picked.sort((i, j) => size(passed[j]) - size(passed[i]));
    }
    return picked.map((i): DetectedFace => {
      const { x1, y1, x2, y2, score } = passed[i];
      return { box: [x1, y1, x2, y2], probability: score, landmarks: landmarks[i] };
    });
  }
}

/** What a network saw of one image, and what it said: one row of numbers a box. */
interface Looked {
  readonly boxes: Box[];
  readonly values: number[][];
  readonly crops: Float32Array;
}

/** A network on all images' boxes that have pixels in their image. */
function look(
  tables: readonly AreaTable[],
  candidates: readonly (readonly Box[])[],
  side: number,
  run: (crops: tf.Tensor4D) => tf.Tensor2D,
): Looked[] {
  const inside = candidates.flatMap((boxes, of) =>
    boxes.flatMap((box) => {
      const { width, height } = tables[of].image;
      const pixels = pixelsOf(box, width, height);
      return pixels ? [{ of, box, pixels }] : [];
    }),
  );
  const size = side * side * 3;
  const crops = new Float32Array(inside.length * size);
  inside.forEach(({ of, pixels }, i) => tables[of].resample(pixels, side, side, crops, i * size));
  const values: number[][] = [];
  for (let at = 0; at < inside.length; at += CHUNK) {
    const count = Math.min(CHUNK, inside.length - at);
    const part = crops.subarray(at * size, (at + count) * size);
    const flat = readValues(() => run(tf.tensor4d(part, [count, side, side, 3])));
    const row = flat.length / count;
    for (let i = 0; i < count; i++) values.push(Array.from(flat.subarray(i * row, (i + 1) * row)));
  }
  let from = 0;
  return candidates.map((_, of) => {
    const boxes = inside.filter((one) => one.of === of).map(({ box }) => box);
    const end = from + boxes.length;
    const own = { boxes, values: values.slice(from, end), crops: crops.subarray(from * size, end * size) };
    from = end;
    return own;
  });
}
