/** Judges of a suite from folders, packages and endpoints, each under its own name. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ChatEndpoint, type ChatEndpointOptions } from '../../data/chat-endpoint';
import type { ColorNamer } from '../../data/judges';
import { BlipJudge } from '../../models/scorers/blip-judge';
import { Clip } from '../../models/scorers/clip';
import { Detr } from '../../models/scorers/detr';
import { Dinov2 } from '../../models/scorers/dinov2';
import { Vit } from '../../models/scorers/vit';
import {
  clipImageSimilarity,
  clipTextSimilarity,
  dinoSimilarity,
  dreamSimSimilarity,
  imageTextMatch,
  loadDreamSim,
  pickScore,
  type Reward,
} from '../../rewards';
import { cosine } from '../metrics';
import { cropped } from './crop';
import { imageScorer, type InTurn, inTurn } from './scorer';
import type { Keep, StandIn } from './stand-ins';
import { SuiteError, type SuiteJudges } from './suite';

/** Sub-folders of a folder of scorers, and what belongs into each. */
export const SCORER_FOLDERS = {
  clip: 'CLIP as transformers saves it (openai/clip-vit-base-patch32): CLIP-T, CLIP-I, and colors for GenEval',
  dinov2: 'DINOv2 (facebook/dinov2-large): DINO of MM-R1',
  dino: 'DINO (facebook/dino-vits16): DINO of DreamBench',
  dreamsim: 'DreamSim (Fu et al. 2023): NAME.safetensors of its backbones, dino_vitb16 and the like, and adapters/',
  blip2: 'BLIP-2 for retrieval (Salesforce/blip2-itm-vit-g): image-text matching',
  pickscore: 'PickScore (yuvalkirstain/PickScore_v1)',
  detr: 'DETR (facebook/detr-resnet-50): the object detector of GenEval',
} as const;
type ScorerFolder = keyof typeof SCORER_FOLDERS;

export interface JudgeOptions {
  /** With sub-folders {@link SCORER_FOLDERS}; those that are missing are not asked. */
  readonly scorers?: string;
  /** Asked where no model of the folder is there; each under its own name. */
  readonly standIns?: readonly StandIn[];
  readonly chat?: ChatEndpointOptions;
}

export type LoadedJudges = SuiteJudges & {
  readonly endpoint?: ChatEndpoint;
  /** Takes one more, to be freed with the others. */
  readonly keep: Keep;
  dispose(): void;
};

/** @throws SuiteError for a folder without any scorer; the models' own errors. What was loaded before is freed */
export async function loadJudges({ scorers: folder, standIns = [], chat }: JudgeOptions): Promise<LoadedJudges> {
  const loaded: { dispose(): void }[] = [];
  const keep: Keep = (model) => (loaded.push(model), model);
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
    const detr = detrFolder ? keep(await Detr.fromPretrained(detrFolder)) : undefined;
    const small: Partial<SuiteJudges>[] = [];
    for (const standIn of standIns) small.push(await standIn.load(keep, one));
    const endpoint = chat && new ChatEndpoint(chat);
    return {
      scorers: [...rewards.map((reward) => imageScorer(reward, one)), ...small.flatMap(({ scorers = [] }) => scorers)],
      detector: detr
        ? { name: detr.name, knows: (label) => detr.knows(label), detect: (images) => one(() => detr.detect(images)) }
        : small.find(({ detector }) => detector)?.detector,
      colors: clip ? clipColors(clip, one) : small.find(({ colors }) => colors)?.colors,
      judge: endpoint,
      endpoint,
      keep,
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

async function others(at: (part: ScorerFolder) => string | undefined, keep: Keep): Promise<Reward[]> {
  const rewards: Reward[] = [];
  const [dinov2, dino, dreamsim, blip2, pick] = (['dinov2', 'dino', 'dreamsim', 'blip2', 'pickscore'] as const).map(at);
  if (dinov2) rewards.push(dinoSimilarity(keep(await Dinov2.fromPretrained(dinov2))));
  if (dino) rewards.push(dinoSimilarity(keep(await Vit.fromPretrained(dino))));
  if (dreamsim) rewards.push(dreamSimSimilarity(keep(await loadDreamSim(dreamsim))));
  if (blip2) rewards.push(imageTextMatch(keep(await BlipJudge.fromPretrained(blip2))));
  if (pick) rewards.push(pickScore(keep(await Clip.fromPretrained(pick))));
  return rewards;
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
