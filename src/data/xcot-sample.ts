/** How an X-CoT comes about: as one sequence of the model's own, turn by turn, or not at all. */
import { type Rng, tf } from '../engine';
import { type Image, tensorToImages } from '../io';
import { decodeInPasses } from '../models/passes';
import type {
  ImageOptions,
  ImageSegment,
  InterleavedModel,
  Prompt,
  Segment,
  TextOptions,
  Trajectory,
  UnifiedModel,
} from '../models/unified';

/**
 * `free`: one sequence; where an image begins is the model's decision. `guided`: text, image, text, image by turns, each
 * asked for, so that a model that was never shown such sequences can do it (the paper's Reasoning). `direct`: the image
 * alone (Base).
 */
export const STRUCTURES = ['free', 'guided', 'direct'] as const;
export type Structure = (typeof STRUCTURES)[number];

export interface XcotSampling {
  readonly structure: Structure;
  /** Default 64 tokens, of a whole sequence. */
  readonly text?: TextOptions;
  readonly image?: ImageOptions;
}

/** What is drawn for; the parts of an `XcotExample` that a model sees. */
export interface XcotRequest {
  readonly example: {
    readonly prompt: string;
    readonly references: readonly [Image, ...Image[]];
    readonly guide?: { readonly describe?: string; readonly plan?: string };
  };
  readonly rng: Rng;
}

/**
 * One trajectory a request. Requests of one example (a group) cost its reading once.
 * @throws RangeError for structure `free` and a model whose text cannot begin an image; PromptTooLongError
 */
export async function sampleXcot(
  model: UnifiedModel,
  requests: readonly XcotRequest[],
  { structure, text, image }: XcotSampling,
): Promise<Trajectory[]> {
  switch (structure) {
    case 'free':
      return interleaved(model).sampleSequences(withPrompts(model, requests, 'interleave'), {
        text,
        image,
        maxImages: 2,
      });
    case 'direct': {
      const drawn = model.imageSampler(withPrompts(model, requests, 'generate'), image).finish();
      return drawn.map((segment) => ({ segments: [segment] }));
    }
    case 'guided':
      return byTurns(model, requests, text, image);
  }
}

/** The model as one that knows sequences. @throws RangeError when its text cannot begin an image */
export function interleaved(model: UnifiedModel): InterleavedModel {
  if ('sampleSequences' in model) return model as InterleavedModel;
  throw new RangeError(
    `${model.modelType} cannot begin an image in its text, nor learn such sequences: MM-R1 needs a model that can, a Chameleon; structure 'guided' or 'direct' asks any`,
  );
}

function withPrompts(model: UnifiedModel, requests: readonly XcotRequest[], task: Prompt['task']) {
  const prompts = new Map<XcotRequest['example'], Prompt>();
  return requests.map(({ example, rng }) => {
    const prompt = prompts.get(example) ?? model.prompt([example.references[0], example.prompt], task);
    prompts.set(example, prompt);
    return { prompt, rng };
  });
}

type Part = string | Image;

/** Every turn sees all parts before it; images on the way are looked at as pixels, as a user would hand them back. */
async function byTurns(
  model: UnifiedModel,
  requests: readonly XcotRequest[],
  text: TextOptions | undefined,
  image: ImageOptions | undefined,
): Promise<Trajectory[]> {
  const parts = requests.map(({ example }): Part[] => [example.references[0], example.prompt]);
  const segments = requests.map((): Segment[] => []);
  const turn = (name: string, task: Prompt['task'], told: (i: number) => string | undefined) =>
    requests.map(({ rng }, i) => ({
      prompt: model.prompt([...parts[i], ...(told(i) ? [told(i) as string] : [])], task),
      rng: rng.split(name),
    }));
  for (const step of ['describe', 'plan'] as const) {
    const said = model.sampleText(
      turn(step, 'understand', (i) => requests[i].example.guide?.[step]),
      text,
    );
    said.forEach((segment, i) => {
      segments[i].push(segment);
      if (segment.text.trim() !== '') parts[i].push(segment.text);
    });
    const drawn = model
      .imageSampler(
        turn(`${step} image`, 'generate', () => undefined),
        image,
      )
      .finish();
    const images = step === 'describe' ? await imagesOf(model, drawn) : [];
    drawn.forEach((segment, i) => {
      segments[i].push(segment);
      if (images[i]) parts[i].push(images[i]);
    });
  }
  return segments.map((own) => ({ segments: own }));
}

/** Images of one grid, decoded together. */
export async function imagesOf(
  { imageTokenizer }: Pick<UnifiedModel, 'imageTokenizer'>,
  drawn: readonly ImageSegment[],
): Promise<Image[]> {
  const codes = drawn.map((segment) => segment.codes);
  const pixels = tf.tidy(() => tf.clipByValue(decodeInPasses(imageTokenizer, codes, drawn[0].grid), -1, 1));
  try {
    return await tensorToImages(pixels);
  } finally {
    pixels.dispose();
  }
}
