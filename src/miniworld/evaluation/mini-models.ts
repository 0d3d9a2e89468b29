/** What the evaluation and the card of each mini model need to know about it. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { TextStyle } from '../../data/personalization';
import type { ImageOptions } from '../../models/unified';
import { CONCEPTS } from '../concepts';
import { MAGVIT_MINI } from '../curricula/showo-config';
import { CHAMELEON_FOLDER } from '../curricula/chameleon-training';
import { JANUS_FOLDER } from '../curricula/janus-training';
import { SHOWO_FOLDER } from '../curricula/showo-tokenizer';
import { vocabulary } from '../vocabulary';
import type { EvalReport } from './metrics';

export interface SamplerSettings {
  /** MaskGIT's steps; undefined for models that draw code after code. */
  readonly steps?: number;
  readonly guidanceScale: number;
  readonly temperature: number;
}

export interface MiniModel {
  /** As `--model` names it. */
  readonly name: string;
  readonly title: string;
  /** Its folder among the checkpoints. */
  readonly folder: string;
  /** The card's first paragraph. */
  readonly about: string;
  /** What the card says about the training, a line each. */
  readonly notes: readonly string[];
  /** The stage without whose curve there is no card. */
  readonly stage: string;
  /** Stages in the order in which they were run, and the losses to draw. */
  readonly history: readonly (readonly [stage: string, losses: readonly string[]])[];
  /** How images are sampled unless the command says otherwise. */
  readonly sampler: SamplerSettings;
  /** The same in words, for the card. */
  sampled(settings: NonNullable<EvalReport['settings']>): string;
}

const RECONSTRUCTION = ['l1', 'l2'];
const LANGUAGE = ['t2i', 'mmu', 'lm'];

/** What the tokenizers of Janus mini and Chameleon mini have in common. */
const FROM_SHOWO =
  "The image tokenizer starts from Show-o mini's (`data/checkpoints/showo-mini`): its sign bits as a codebook, the 4096 corners of a\n" +
  '  cube of 12 dimensions, give the same codes (`src/miniworld/curricula/vq-from-magvit.ts`). Its own training is only the short stage above.';
const machine = (recipes: string) =>
  `Two CPU cores shared with other work, so times are longer than they need be; bf16 matrix products. Hyper-parameters:\n  \`${recipes}\`. Each stage goes on where it was stopped.`;

/** What the drawing stages of Janus mini and Chameleon mini add. */
const behindWrongCodes = (stage: string) =>
  `In \`${stage}\` nine images of ten are drawn behind codes that are mostly another image's (64% of them on average, as MaskGIT masks), and\n  half of the scenes show animals and things in named colours (none of those that \`xcotSubjects\` holds out). Behind true codes, all but a\n  figure's first code can be told from the codes before it, and the caption is learned from that one alone.`;

const codeAfterCode = ({ guidanceScale, temperature }: NonNullable<EvalReport['settings']>) =>
  `code after code, guidance ${guidanceScale}, temperature ${temperature}`;

const MODELS = {
  showo: {
    name: 'showo',
    title: 'Show-o mini',
    folder: SHOWO_FOLDER,
    about: `The Show-o class of this repository (\`src/models/showo\`) at a size that two CPU cores train: 64 x 64 images as 8 x 8 codes of ${MAGVIT_MINI.codebook_dim}
bits (look-up-free quantisation), a transformer with Phi-1.5's blocks over one vocabulary of words and codes.`,
    notes: [
      '`showo-tokenizer-10-bits` and `showo-tokenizer-12-bits` were run on an earlier form of the scenes (figures of 24 to 40 pixels on a lattice of\n  4 pixels; now they stand on the cells of the code grid), so running them again gives other weights.',
      '`showo-color-augmentation` and `showo-drawing` show half of the objects in shades that have no name (orange, teal, black, ...): what is asked of\n  them is kind, number and place, never colour, and no object comes in a shade near the colour in which it is held out.',
      'What ships is the mean of the weights before and after `showo-drawing`. That, 12 steps and temperature 0.5 were chosen on\n  images of seed 2000.',
      'Two CPU cores, bf16 matrix products. Hyper-parameters: `src/miniworld/curricula/showo-curriculum.ts`. Each stage goes on where it was stopped.',
    ],
    stage: 'showo-cell-codes',
    history: [
      ['showo-tokenizer-10-bits', RECONSTRUCTION],
      ['showo-tokenizer-12-bits', RECONSTRUCTION],
      ['showo-language', LANGUAGE],
      ['showo-tokenizer-cells', RECONSTRUCTION],
      ['showo-cell-codes', LANGUAGE],
      ['showo-shared-bits', LANGUAGE],
      ['showo-questions', LANGUAGE],
      ['showo-presence', LANGUAGE],
      ['showo-noisy-codes', LANGUAGE],
      ['showo-noisy-answers', LANGUAGE],
      ['showo-color-augmentation', LANGUAGE],
      ['showo-drawing', LANGUAGE],
    ],
    sampler: { steps: 12, guidanceScale: 3, temperature: 0.5 },
    sampled: ({ steps, guidanceScale, temperature }) =>
      `${steps} MaskGIT steps, guidance ${guidanceScale}, temperature ${temperature}`,
  },
  janus: {
    name: 'janus',
    title: 'Janus mini',
    folder: JANUS_FOLDER,
    about: `The Janus class of this repository (\`src/models/janus\`) at a size that two CPU cores train: it looks at 64 x 64 images through a
small vision tower of 8 x 8 patches, and draws them code after code with a VQ tokenizer of 8 x 8 codes out of 4096; between the
two a Llama of five layers.`,
    notes: [
      FROM_SHOWO,
      '`janus-language` was run before `janus-vision`, with a tower that knew nothing; then the tower that `janus-vision` had taught took its\n  place. Run again, the tower is taught first. These, `janus-presence` and `janus-presence-again` were stopped early in their learning-rate schedules.',
      behindWrongCodes('janus-drawing'),
      '`janus-vision-tones` shows objects in tones of every hue but those within 32 degrees of the held-out one: the tower then tells kinds in\n  colours that it has never seen them in, and the colours themselves less surely than before. It was run beside `janus-drawing`, and took its\n  place in the model after it.',
      'When `janus-answers` was run, colour words in answers about tones were the true ones; now, as in `janus-looking`, they are any.',
      '`janus-vision-hues` has the tower tell hues as points on a circle, which can be read between those that a kind was shown in; `janus-seeing`\n  then learns answers with it. Colours of held-out combinations were told less surely before: classes alone know none between two.',
      'Until `janus-comparing` the answer to whether something is there was mostly "yes", on images of training too. It was told in\n  that stage, without wrong words in questions (`questionNoise`) and with fewer wrong names (`anyName`); which of the two kept it from being learned, or\n  whether time alone did, was not taken apart. `janus-keeping` was stopped early in its schedule.',
      'Drawing and answers improved with every stage since `janus-orthogonal` and their losses still fall. Guidance 3 and temperature 0.5 were\n  chosen on images of seed 2000.',
      machine('src/miniworld/curricula/janus-curriculum.ts'),
    ],
    stage: 'janus-language',
    history: [
      ['janus-tokenizer', RECONSTRUCTION],
      ['janus-vision', ['kind', 'color', 'background']],
      ['janus-language', LANGUAGE],
      ['janus-presence', LANGUAGE],
      ['janus-presence-again', LANGUAGE],
      ['janus-vision-again', ['kind', 'color', 'background']],
      ['janus-color-augmentation', LANGUAGE],
      ['janus-object-names', LANGUAGE],
      ['janus-vision-colors', ['kind', 'color', 'background']],
      ['janus-noisy-answers', LANGUAGE],
      ['janus-orthogonal', LANGUAGE],
      ['janus-vision-tones', ['kind', 'color', 'background']],
      ['janus-drawing', LANGUAGE],
      ['janus-answers', LANGUAGE],
      ['janus-looking', LANGUAGE],
      ['janus-any-name', LANGUAGE],
      ['janus-vision-hues', ['kind', 'color', 'background', 'hue']],
      ['janus-seeing', LANGUAGE],
      ['janus-keeping', LANGUAGE],
      ['janus-telling', LANGUAGE],
      ['janus-comparing', LANGUAGE],
    ],
    sampler: { guidanceScale: 3, temperature: 0.5 },
    sampled: codeAfterCode,
  },
  chameleon: {
    name: 'chameleon',
    title: 'Chameleon mini',
    folder: CHAMELEON_FOLDER,
    about: `The Chameleon class of this repository (\`src/models/chameleon\`) at a size that two CPU cores train: words and 8 x 8 image codes out
of 4096 in one sequence and one vocabulary, a transformer of five layers with norms on queries and keys.`,
    notes: [
      FROM_SHOWO,
      behindWrongCodes('chameleon-drawing'),
      '`chameleon-drawing` starts from the mean of the weights before and after `chameleon-wrong-codes`, which ended 39 steps before its\n  schedule did. Guidance and temperature were chosen on images of seed 2000.',
      '`chameleon-composing` is the same lesson for twice as long; of two short lessons in answers behind it, the one that asks whether painted\n  animals and things are there (`chameleon-seeing`) was chosen on scenes of seed 2000. Losses of drawing still fall.',
      '`chameleon-decoder` teaches the decoder of the image tokenizer alone, half of it on animals and things in colours that are not theirs (none of\n  those that `xcotSubjects` holds out); codes, and with them the language model, stay what they were. Before it a true image of a held-out subject\n  that went through the tokenizer was known again in 63 of 100, after it in 85.',
      machine('src/miniworld/curricula/chameleon-curriculum.ts'),
    ],
    stage: 'chameleon-language',
    history: [
      ['chameleon-tokenizer', RECONSTRUCTION],
      ['chameleon-language', LANGUAGE],
      ['chameleon-object-names', LANGUAGE],
      ['chameleon-orthogonal', LANGUAGE],
      ['chameleon-wrong-codes', LANGUAGE],
      ['chameleon-drawing', LANGUAGE],
      ['chameleon-composing', LANGUAGE],
      ['chameleon-seeing', LANGUAGE],
      ['chameleon-decoder', RECONSTRUCTION],
    ],
    sampler: { guidanceScale: 2, temperature: 0.4 },
    sampled: codeAfterCode,
  },
} satisfies Readonly<Record<string, MiniModel>>;

export const MINI_MODELS: Readonly<Record<keyof typeof MODELS, MiniModel>> = MODELS;

/** How a mini model is asked. */
export interface MiniProtocol {
  readonly image: ImageOptions;
  /** Its words know no sign that stands at another. */
  readonly style: TextStyle;
}

/**
 * How a checkpoint is asked unless the command says otherwise: as the mini model of its backbone, when its words are the
 * mini world's; else nothing is known.
 * @param folder may be one for each `{subject}`: the first that is there is looked at
 */
export async function miniProtocol(folder: string): Promise<MiniProtocol | undefined> {
  const there = [folder, ...CONCEPTS.map(({ name }) => folder.replaceAll('{subject}', name))].find((one) =>
    existsSync(path.join(one, 'tokenizer.json')),
  );
  if (there === undefined) return undefined;
  const read = async (name: string) => JSON.parse(await readFile(path.join(there, name), 'utf8')) as object;
  const { model } = (await read('tokenizer.json')) as { model?: { vocab?: Readonly<Record<string, number>> } };
  const { model_type: type } = (await read('config.json')) as { model_type?: string };
  const mini = Object.values(MINI_MODELS).find(({ name }) => name === type);
  if (!mini || !vocabulary().every((word) => model?.vocab?.[word] !== undefined)) return undefined;
  const { steps, guidanceScale, temperature } = mini.sampler;
  return { image: { guidanceScale, temperature, ...(steps === undefined ? {} : { steps }) }, style: 'spaced' };
}
