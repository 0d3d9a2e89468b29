/** Features of prompts for scorers that hold images against them: each prompt once, an empty one with its reason. */
import type { Feature } from './feature-cosine';

/** One feature a prompt. Samples of a group share their prompt: it is embedded once. */
export async function promptFeatures(
  embed: (texts: readonly string[]) => Promise<Float32Array[]>,
  prompts: readonly string[],
): Promise<Feature[]> {
  const said = [...new Set(prompts)].filter((prompt) => prompt.trim() !== '');
  const vectors = said.length > 0 ? await embed(said) : [];
  const featureOf = new Map(said.map((prompt, i) => [prompt, vectors[i]]));
  return prompts.map((prompt) => featureOf.get(prompt) ?? { missing: 'the text is empty' });
}
