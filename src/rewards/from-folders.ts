/**
 * The reward models of UniCTokens-R1 (Sec. 4) from one folder: BLIP-2 for BER, DINOv2 for DER, MTCNN and FaceNet for
 * FER, ERNIE for TIER. Every reward is logged under the name of the model that its folder holds.
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { BlipJudge } from '../models/scorers/blip-judge';
import { Dinov2 } from '../models/scorers/dinov2';
import { FaceNet } from '../models/scorers/facenet';
import { Mtcnn } from '../models/scorers/mtcnn';
import { SentenceEncoder } from '../models/scorers/sentences';
import { berReward } from './ber';
import { derReward } from './der';
import { dinoName } from './dino-similarity';
import { ferReward } from './fer';
import type { SubjectRewards } from './subject';
import { tierReward } from './tier';

/** The sub-folders, and what belongs into each. */
const BELONGS = {
  blip2: 'BLIP-2 for image-text retrieval as transformers saves it (Salesforce/blip2-itm-vit-g), for BER',
  dinov2: 'DINOv2 as transformers saves it (facebook/dinov2-large), for DER',
  ernie: 'ERNIE with its tokenizer as transformers saves it (nghuyong/ernie-2.0-base-en), for TIER',
  mtcnn: "pnet.safetensors, rnet.safetensors and onet.safetensors of facenet-pytorch's MTCNN, for FER",
  facenet: "facenet-pytorch's InceptionResnetV1 as model.safetensors, for FER",
} as const;

type Part = keyof typeof BELONGS;

const PARTS: readonly Part[] = ['blip2', 'dinov2', 'ernie'];
const FACES: readonly Part[] = ['mtcnn', 'facenet'];

/** Models that stay in memory as long as they are rewards. */
export interface LoadedRewards extends SubjectRewards {
  /** Frees the models; the rewards cannot be asked any more. */
  dispose(): void;
}

/**
 * Loads `blip2/`, `dinov2/`, `ernie/` and, for people, `mtcnn/` and `facenet/` of a folder.
 * @param kind what the subject is: only people have faces to compare
 * @returns rewards named `ber_blip2`, `der_dinov2_large`, `tier_ernie`, `fer_facenet`; with a model of another kind or
 *   size in a folder (BLIP, a smaller DINOv2, BERT) the name says so
 * @throws Error listing the sub-folders that are missing with what belongs there; the models' own errors otherwise. What
 *   was loaded before is freed
 */
export async function paperRewards(folder: string, kind: 'person' | 'animal' | 'object'): Promise<LoadedRewards> {
  await checkFolders(folder, kind === 'person' ? [...PARTS, ...FACES] : PARTS);
  const at = (part: Part) => path.join(folder, part);
  const loaded: { dispose(): void }[] = [];
  const dispose = () => loaded.splice(0).forEach((model) => model.dispose());
  const keep = async <M extends { dispose(): void }>(loading: Promise<M>): Promise<M> => {
    const model = await loading;
    loaded.push(model);
    return model;
  };
  try {
    const blip = await keep(BlipJudge.fromPretrained(at('blip2')));
    const dino = await keep(Dinov2.fromPretrained(at('dinov2')));
    const sentences = await keep(SentenceEncoder.fromPretrained(at('ernie')));
    const name = sentences.model.config.model_type;
    return {
      ber: berReward(blip),
      der: derReward({ name: dinoName(dino), embedPatches: (images) => dino.embedPatches(images) }),
      tier: tierReward({ name, size: sentences.size, embed: (texts) => sentences.embed(texts) }),
      ...(kind === 'person' && {
        fer: ferReward(await keep(Mtcnn.load(at('mtcnn'))), await keep(FaceNet.load(at('facenet')))),
      }),
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

async function checkFolders(folder: string, parts: readonly Part[]): Promise<void> {
  const isFolder = (part: Part) =>
    stat(path.join(folder, part)).then(
      (info) => info.isDirectory(),
      () => false,
    );
  const there = await Promise.all(parts.map(isFolder));
  const missing = parts.filter((_, i) => !there[i]);
  if (missing.length === 0) return;
  const lines = missing.map((part) => `  ${part}/: ${BELONGS[part]}`);
  throw new Error(`the folder of scorers ${folder} lacks\n${lines.join('\n')}`);
}
