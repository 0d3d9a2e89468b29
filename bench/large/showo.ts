/** Show-o with its image tokenizer at its published size: what loading it costs, and a step of MaskGIT. */
import { readValues, Rng } from '../../src/engine';
import type { ShowoConfig } from '../../src/models/showo/config';
import { type MagvitConfig, MagvitNetwork } from '../../src/models/showo/image-tokenizer';
import { ShowoLayers } from '../../src/models/showo/layers';
import { ShowoNetwork } from '../../src/models/showo/network';
import { loadParts, type ShowoFile, type ShowoWeights } from '../../src/models/showo/pretrained';
import { ShowoImageSampler } from '../../src/models/showo/sampler';
import { type LargeModel, spend, type Spent, type WorkTiming } from './work';

/** As published: 50 steps, guidance 5. */
const SAMPLING = { steps: 50, guidanceScale: 6 } as const;

/** Tokens of the caption: what a sentence has. */
const CAPTION = 12;

/** The whole of Show-o. @param lengths codes of an image that are measured by default, each a square */
export function showoLarge(config: ShowoConfig, imageTokenizer: MagvitConfig, lengths: readonly number[]): LargeModel {
  const file: ShowoFile = { model_type: 'showo', transformer: config, tokenizer: imageTokenizer };
  return {
    part: 'transformer and image tokenizer',
    files: {
      'model.safetensors': new ShowoLayers(config),
      'tokenizer.safetensors': new MagvitNetwork(imageTokenizer),
    },
    config: file,
    work: 'images',
    lengths,
    async load(folder) {
      const model = await loadParts(folder);
      const parameters = model.store.count() + model.magvit.parameters.count();
      return { parameters, run: (length, count) => draw(model, length, count) };
    },
  };
}

/**
 * One guided image on its way, and what it would be if it stopped there, in pixels. Positions are rotary, so that one
 * checkpoint draws images of every size.
 * @throws RangeError for a number of codes that fills no square
 */
async function draw({ layers, store, magvit }: ShowoWeights, codes: number, steps: number): Promise<WorkTiming> {
  if (!Number.isInteger(Math.sqrt(codes))) throw new RangeError(`${codes} codes fill no square`);
  const sized = new ShowoNetwork(new ShowoLayers({ ...layers.config, num_vq_tokens: codes }).with(store));
  const caption = Array.from({ length: CAPTION }, (_, i) => (i * 7919 + 11) % layers.config.llm_vocab_size);
  const batch = ShowoImageSampler.start(sized, [{ condition: caption, draws: new Rng(1) }], SAMPLING);
  const each: Spent[] = [];
  for (let i = 0; i < steps; i++) each.push(await spend(() => batch.step()));
  const whole = await spend(() => void readValues(() => magvit.decode(batch.predicted)));
  return { whole, each };
}
