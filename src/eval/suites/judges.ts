/** Judges of a suite from folders, packages and endpoints, each under its own name. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ChatEndpoint, type ChatEndpointOptions } from '../../data/chat-endpoint';
import type { ColorNamer, ImageScorer, JudgedImage } from '../../data/judges';
import { tf } from '../../engine';
import { type Image, imagesToTensor } from '../../io';
import { BlipJudge } from '../../models/scorers/blip-judge';
import { Clip } from '../../models/scorers/clip';
import { Detr } from '../../models/scorers/detr';
import { Dinov2 } from '../../models/scorers/dinov2';
import { MobileNet } from '../../models/scorers/mobilenet';
import { Vit } from '../../models/scorers/vit';
import {
  clipImageSimilarity,
  clipTextSimilarity,
  dinoSimilarity,
  imageTextMatch,
  pickScore,
  referenceCosine,
  type Reward,
} from '../../rewards';
import { cosine } from '../metrics';
import { SuiteError, type SuiteJudges } from './suite';

/** Sub-folders of a folder of scorers, and what belongs into each. */
export const SCORER_FOLDERS = {
  clip: 'CLIP as transformers saves it (openai/clip-vit-base-patch32): CLIP-T, CLIP-I, and colors for GenEval',
  dinov2: 'DINOv2 (facebook/dinov2-large): DINO of MM-R1',
  dino: 'DINO (facebook/dino-vits16): DINO of DreamBench',
  blip2: 'BLIP-2 for retrieval (Salesforce/blip2-itm-vit-g): image-text matching',
  pickscore: 'PickScore (yuvalkirstain/PickScore_v1)',
  detr: 'DETR (facebook/detr-resnet-50): the object detector of GenEval',
} as const;
type ScorerFolder = keyof typeof SCORER_FOLDERS;

/** What ships with the packages, under its own name; never a paper's column. */
export const STAND_INS = ['mobilenet', 'mean-color'] as const;
export type StandIn = (typeof STAND_INS)[number];

export interface JudgeOptions {
  /** With sub-folders {@link SCORER_FOLDERS}; those that are missing are not asked. */
  readonly scorers?: string;
  readonly standIns?: readonly StandIn[];
  readonly chat?: ChatEndpointOptions;
}

export type LoadedJudges = SuiteJudges & { readonly endpoint?: ChatEndpoint; dispose(): void };

/** @throws SuiteError for a folder without any scorer; the models' own errors. What was loaded before is freed */
export async function loadJudges({ scorers: folder, standIns = [], chat }: JudgeOptions): Promise<LoadedJudges> {
  const loaded: { dispose(): void }[] = [];
  const keep = <M extends { dispose(): void }>(model: M): M => (loaded.push(model), model);
  const dispose = () => loaded.splice(0).forEach((model) => model.dispose());
  const at = (part: ScorerFolder) => {
    const found = folder === undefined ? undefined : path.join(folder, part);
    return found !== undefined && existsSync(found) ? found : undefined;
  };
  if (folder !== undefined && !(Object.keys(SCORER_FOLDERS) as ScorerFolder[]).some((part) => at(part)))
    throw new SuiteError(`${folder} has no scorer: ${Object.keys(SCORER_FOLDERS).join('/, ')}/ were looked for`);
  try {
    const one = inTurn();
    const [clipFolder, detrFolder] = [at('clip'), at('detr')];
    const clip = clipFolder ? keep(await Clip.fromPretrained(clipFolder)) : undefined;
    const rewards = [
      ...(clip ? [clipTextSimilarity(clip), clipImageSimilarity(clip)] : []),
      ...(await others(at, keep)),
    ];
    if (standIns.includes('mobilenet')) rewards.push(mobileNetCosine(keep(await MobileNet.load())));
    const detr = detrFolder ? keep(await Detr.fromPretrained(detrFolder)) : undefined;
    const endpoint = chat && new ChatEndpoint(chat);
    return {
      scorers: rewards.map((reward) => imageScorer(reward, one)),
      detector: detr && {
        name: detr.name,
        knows: (label) => detr.knows(label),
        detect: (images) => one(() => detr.detect(images)),
      },
      colors: clip ? clipColors(clip, one) : standIns.includes('mean-color') ? meanColor : undefined,
      judge: endpoint,
      endpoint,
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

async function others(
  at: (part: ScorerFolder) => string | undefined,
  keep: <M extends { dispose(): void }>(model: M) => M,
): Promise<Reward[]> {
  const rewards: Reward[] = [];
  const [dinov2, dino, blip2, pick] = (['dinov2', 'dino', 'blip2', 'pickscore'] as const).map(at);
  if (dinov2) rewards.push(dinoSimilarity(keep(await Dinov2.fromPretrained(dinov2))));
  if (dino) rewards.push(dinoSimilarity(keep(await Vit.fromPretrained(dino))));
  if (blip2) rewards.push(imageTextMatch(keep(await BlipJudge.fromPretrained(blip2))));
  if (pick) rewards.push(pickScore(keep(await Clip.fromPretrained(pick))));
  return rewards;
}

type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** One after another: models in this process share its memory, and each fills the machine. */
function inTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>) => {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };
}

/** A reward as a scorer of images. */
export function imageScorer(reward: Reward, one: InTurn = inTurn()): ImageScorer {
  return {
    name: reward.name,
    score: (images) =>
      one(async () => {
        const pixels: tf.Tensor4D[] = [];
        try {
          const scores = await reward(images.map((judged) => sampleOf(judged, pixels)));
          return scores.map(({ value }) => value);
        } finally {
          tf.dispose(pixels);
        }
      }),
  };
}

function sampleOf({ image, prompt, references }: JudgedImage, pixels: tf.Tensor4D[]) {
  const lazy = {
    bytes: () => Promise.resolve(image),
    pixels: () => {
      const own = tf.keep(imagesToTensor([image]));
      pixels.push(own);
      return own;
    },
  };
  return { prompt, outputs: [{ image: lazy }], completion: '', image: lazy, references, truth: undefined };
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

/** The color whose words CLIP finds nearest to what is in the box, as GenEval asks it (Ghosh et al. 2023, Sec. 3.2). */
export function clipColors(clip: Pick<Clip, 'embedImages' | 'embedTexts'>, one: InTurn = inTurn()): ColorNamer {
  const texts = new Map<string, Promise<Float32Array[]>>();
  return {
    name: 'clip_colors',
    color: (image, { box, label }, colors) =>
      one(async () => {
        const prompts = colors.map((color) => `a photo of a ${color} ${label}`);
        const words = texts.get(label) ?? clip.embedTexts(prompts);
        texts.set(label, words);
        const [seen] = await clip.embedImages([cropped(image, box)]);
        const cosines = (await words).map((text) => cosine(seen, text));
        return colors[cosines.indexOf(Math.max(...cosines))];
      }),
  };
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

/** What is in a box, at least one pixel. */
function cropped({ width, height, rgb }: Image, box: readonly [number, number, number, number]): Image {
  const clip = (value: number, most: number) => Math.min(most, Math.max(0, Math.floor(value)));
  const [left, top] = [clip(box[0], width - 1), clip(box[1], height - 1)];
  const w = Math.max(1, clip(box[2], width) - left);
  const h = Math.max(1, clip(box[3], height) - top);
  const out = new Uint8Array(w * h * 3);
  for (let y = 0; y < h; y++) {
    const from = ((top + y) * width + left) * 3;
    out.set(rgb.subarray(from, from + w * 3), y * w * 3);
  }
  return { width: w, height: h, rgb: out };
}
