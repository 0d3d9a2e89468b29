/** Stand-ins: small judges that ship with the packages, each under its own name; never a paper's column. */
import type { ColorNamer } from '../../data/judges';
import { MobileNet } from '../../models/scorers/mobilenet';
import { imagesToTensor } from '../../io';
import { referenceCosine, type Reward } from '../../rewards';
import { cropped } from './crop';
import { imageScorer, type InTurn } from './scorer';
import type { SuiteJudges } from './suite';

/** Takes a model, to be freed with the judges. */
export type Keep = <M extends { dispose(): void }>(model: M) => M;

export interface StandIn {
  /** One line for people: what it is, and for whom it stands in. */
  readonly about: string;
  /** @param one one model at a time */
  load(keep: Keep, one: InTurn): Promise<Partial<SuiteJudges>>;
}

/** MobileNet features of images of any size: a stand-in for DINO and CLIP-I. */
export function mobileNetCosine(net: MobileNet): Reward {
  return referenceCosine(net.name, async (images) => {
    const out: Float32Array[] = [];
    for (const image of images) {
      const pixels = imagesToTensor([image]);
      try {
        out.push(...(await net.embed(pixels)));
      } finally {
        pixels.dispose();
      }
    }
    return out;
  });
}

const RGB: Readonly<Record<string, readonly [number, number, number]>> = {
  red: [220, 30, 30],
  orange: [245, 140, 20],
  yellow: [245, 225, 40],
  green: [40, 160, 60],
  blue: [40, 80, 210],
  purple: [130, 50, 170],
  pink: [250, 150, 190],
  brown: [120, 75, 40],
  black: [20, 20, 20],
  white: [240, 240, 240],
};

/** The named color nearest to the mean of the box's inner half: a stand-in for CLIP that needs no model. */
const meanColor: ColorNamer = {
  name: 'mean_color',
  color(image, { box: [left, top, right, bottom] }, colors) {
    const [w, h] = [(right - left) / 4, (bottom - top) / 4];
    const { rgb } = cropped(image, [left + w, top + h, right - w, bottom - h]);
    const mean = [0, 1, 2].map((c) => rgb.filter((_, i) => i % 3 === c).reduce((a, b) => a + b, 0) / (rgb.length / 3));
    const distance = (color: string) => Math.hypot(...(RGB[color] ?? [0, 0, 0]).map((value, c) => value - mean[c]));
    return Promise.resolve([...colors].sort((a, b) => distance(a) - distance(b))[0]);
  },
};

/** By the name that `--stand-ins` takes. */
export const STAND_INS: Readonly<Record<string, StandIn>> = {
  mobilenet: {
    about: 'features of MobileNetV2, for CLIP-I and DINO',
    load: async (keep, one) => ({ scorers: [imageScorer(mobileNetCosine(keep(await MobileNet.load())), one)] }),
  },
  'mean-color': {
    about: "the mean of a box's inner half, for the CLIP that tells GenEval's colors",
    load: () => Promise.resolve({ colors: meanColor }),
  },
};
