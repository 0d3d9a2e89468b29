/** What recipes give a run folder to keep: their samples, for people to look at, also those of a step that was refused. */
import { tf } from '../engine';
import { type LoggedSample, type Run, tensorToImages } from '../io';
import type { ImageTokenizer, Trajectory } from '../models/unified';
import type { Score } from '../rewards';

/** Prompt, text, last image and rewards of each trajectory. */
export async function loggedSamples(
  tokenizer: ImageTokenizer,
  samples: readonly (Trajectory & { readonly compoundPrompt?: string })[],
  scores: readonly Score[],
): Promise<LoggedSample[]> {
  const out: LoggedSample[] = [];
  for (const [i, { segments, compoundPrompt }] of samples.entries()) {
    const text = segments.flatMap((segment) => (segment.name === 'understanding' ? [segment.text] : [])).join(' ');
    const drawn = segments.filter((segment) => segment.name === 'generation').at(-1);
    const pixels = drawn && tf.tidy(() => tf.clipByValue(tokenizer.decode([drawn.codes], drawn.grid), -1, 1));
    const image = pixels && (await tensorToImages(pixels))[0];
    pixels?.dispose();
    out.push({ prompt: compoundPrompt, text, image, values: { reward: scores[i].value, ...scores[i].parts } });
  }
  return out;
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
