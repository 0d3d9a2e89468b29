/** What recipes give a run folder to keep: their samples, for people to look at, also those of a step that was refused. */
import { type Image, type LoggedSample, type Run, tensorToImages } from '../io';
import { decodedPixels } from '../models/decoded-pixels';
import type { ImageTokenizer, Trajectory } from '../models/unified';
import type { Score } from '../rewards';

/** Prompt, text, last image and rewards of each trajectory. */
export async function loggedSamples(
  tokenizer: ImageTokenizer,
  samples: readonly (Trajectory & { readonly compoundPrompt?: string })[],
  scores: readonly Score[],
): Promise<LoggedSample[]> {
  const images = await lastImages(tokenizer, samples);
  return samples.map(({ segments, compoundPrompt }, i) => {
    const text = segments.flatMap((segment) => (segment.name === 'understanding' ? [segment.text] : [])).join(' ');
    return { prompt: compoundPrompt, text, image: images[i], values: { reward: scores[i].value, ...scores[i].parts } };
  });
}

/** The last image of each trajectory; undefined where nothing was drawn. Those of one grid are decoded together. */
async function lastImages(tokenizer: ImageTokenizer, samples: readonly Trajectory[]): Promise<(Image | undefined)[]> {
  const drawn = samples.map(({ segments }) => segments.filter((segment) => segment.name === 'generation').at(-1));
  const images = new Array<Image | undefined>(samples.length).fill(undefined);
  for (const key of new Set(drawn.flatMap((segment) => (segment ? [segment.grid.join()] : [])))) {
    const places = [...drawn.keys()].filter((i) => drawn[i]?.grid.join() === key);
    const segments = places.flatMap((i) => drawn[i] ?? []);
    const pixels = decodedPixels(
      tokenizer,
      segments.map(({ codes }) => codes),
      segments[0].grid,
    );
    try {
      (await tensorToImages(pixels)).forEach((image, k) => (images[places[k]] = image));
    } finally {
      pixels.dispose();
    }
  }
  return images;
}

/** Does a step; what it had sampled is kept when it is refused, and the error says where. */
export async function keepingRefused<T>(
  run: Run | undefined,
  step: number,
  samples: readonly LoggedSample[] | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const folder = await run?.keepRefused(step, error, samples ?? []);
    if (folder && error instanceof Error) error.message += `; its samples are in ${folder}`;
    throw error;
  }
}
