/** The models that are measured, and how much each of them is given to do. */
import { janusMini } from '../src/miniworld/curricula/janus-config';
import { showoMini } from '../src/miniworld/curricula/showo-config';
import { SHOWO_STAGES } from '../src/miniworld/curricula/showo-curriculum';
import type { miniText } from '../src/miniworld/curricula/scenes';
import type { JanusConfig } from '../src/models/janus/config';
import type { ShowoConfig } from '../src/models/showo/config';

/** Parameters of the language model, about. */
export const MODELS = ['6M', '30M', '110M'] as const;
export type BenchModel = (typeof MODELS)[number];

/** Of weights, batches, captions and draws; the same in every run. */
export const BENCH_SEED = 7;

/** Width, blocks, and heads of the decoder: the mini models', and two that are laid out as larger ones are. */
const SHAPES: Readonly<Record<BenchModel, readonly [width: number, layers: number, heads: number]>> = {
  '6M': [256, 5, 8],
  '30M': [512, 8, 8],
  '110M': [768, 15, 12],
};

export interface BenchSizes {
  /** A training batch: captioned images, how many of them are asked about, questions about each at most, texts. */
  readonly images: number;
  readonly asked: number;
  readonly questions: number;
  readonly texts: number;
  /** Training batches, each with rows of its own lengths; a round of the benchmark takes the next one. */
  readonly batches: number;
  /** Images that are sampled together, MaskGIT steps and guidance. */
  readonly rollouts: number;
  readonly steps: number;
  readonly guidanceScale: number;
  /** Images that are drawn together where they have 256 codes, or come code after code. */
  readonly drawn: number;
  /** Images whose transitions are replayed: `replays * steps` forward rows, twice that with guidance. */
  readonly replays: number;
}

/** The mini recipes' own; larger models have fewer rows, so that a round takes about as long. */
const SIZES: Readonly<Record<BenchModel, BenchSizes>> = {
  '6M': {
    ...SHOWO_STAGES['showo-cell-codes'].batch,
    batches: 6,
    rollouts: 8,
    steps: 8,
    guidanceScale: 3,
    drawn: 4,
    replays: 2,
  },
  '30M': {
    images: 14,
    asked: 6,
    questions: 6,
    texts: 4,
    batches: 6,
    rollouts: 4,
    steps: 8,
    guidanceScale: 3,
    drawn: 4,
    replays: 2,
  },
  '110M': {
    images: 7,
    asked: 3,
    questions: 6,
    texts: 2,
    batches: 6,
    rollouts: 4,
    steps: 4,
    guidanceScale: 3,
    drawn: 2,
    replays: 2,
  },
};

/** Tiny batches: they show that everything works, not how fast it is. */
const SMALL: Partial<BenchSizes> = {
  images: 2,
  asked: 1,
  questions: 2,
  texts: 1,
  batches: 2,
  rollouts: 2,
  steps: 2,
  drawn: 1,
  replays: 1,
};

/** @param small tiny batches */
export function sizesFor(model: BenchModel, small: boolean): BenchSizes {
  return { ...SIZES[model], ...(small ? SMALL : {}) };
}

type Text = ReturnType<typeof miniText>;

export function showoOf(model: BenchModel, { text, bos, eos }: Text): ShowoConfig {
  const [width, layers, heads] = SHAPES[model];
  return {
    ...showoMini(text.vocabularySize, bos, eos),
    hidden_size: width,
    intermediate_size: 4 * width,
    num_hidden_layers: layers,
    num_attention_heads: heads,
  };
}

/** @param side codes along an edge of an image */
export function janusOf(model: BenchModel, { text, bos, eos }: Text, side: number): JanusConfig {
  const [width, layers, heads] = SHAPES[model];
  const mini = janusMini(text.vocabularySize, { bos, eos, pad: text.padId ?? 0 });
  return {
    ...mini,
    text: {
      ...mini.text,
      hidden_size: width,
      intermediate_size: (11 * width) / 4,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      num_key_value_heads: heads / 2,
      head_dim: width / heads,
    },
    vision: { ...mini.vision, projection_dim: width },
    vq: { ...mini.vq, projection_dim: width, image_token_embed_dim: width, num_patches: side },
  };
}
