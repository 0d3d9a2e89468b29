/** What Janus' last layer holds of an image and a text that it reads together: what CoRL's R_TIM compares (Eq. 4). */
import { readValues } from '../../engine';
import type { TokenStates } from '../abilities';
import type { UnderstandingPrompt } from './layout';
import { featureCount, type JanusNetwork } from './network';
import { promptFeatures } from './policy';

/** Rows of a forward pass. */
const CHUNK = 16;

/**
 * States after the last norm, token by token. Which are the image's and which the text's, the layout tells: the
 * placeholders, and everything behind the image's end. The image stands first, so the text sees it and not the other
 * way round, as in the released trainer.
 * @param prompts one image and a text behind it, each
 */
export function tokenStates(network: JanusNetwork, prompts: readonly UnderstandingPrompt[]): TokenStates[] {
  const out: TokenStates[] = [];
  for (let from = 0; from < prompts.length; from += CHUNK)
    out.push(...chunkStates(network, prompts.slice(from, from + CHUNK)));
  return out;
}

function chunkStates(network: JanusNetwork, prompts: readonly UnderstandingPrompt[]): TokenStates[] {
  const { tokens, text } = network.config;
  const width = text.hidden_size;
  const length = Math.max(...prompts.map(({ ids }) => ids.length));
  // Padded on the right, where causal attention cannot see.
  const rows = prompts.map(({ ids }) => [...ids, ...new Array<number>(length - ids.length).fill(tokens.pad)]);
  const values = readValues(() => {
    const features = promptFeatures(network, prompts);
    return network.hidden(network.embed(network.embedInputs(rows, featureCount(features)), features));
  });
  return prompts.map(({ ids }, row) => {
    const at = (i: number) => values.slice((row * length + i) * width, (row * length + i + 1) * width);
    const end = ids.lastIndexOf(tokens.eoi);
    return {
      image: ids.flatMap((id, i) => (id === tokens.image ? [at(i)] : [])),
      text: ids.flatMap((_, i) => (i > end ? [at(i)] : [])),
    };
  });
}
