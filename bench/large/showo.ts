/** Show-o with its image tokenizer at its published size: what loading it costs, and a step of MaskGIT. */
import { readValues, Rng } from '../../src/engine';
import type { ShowoConfig } from '../../src/models/showo/config';
import { type MagvitConfig, magvitSpecs } from '../../src/models/showo/magvit';
import { type ShowoFile, ShowoModel } from '../../src/models/showo/model';
import { ImageBatch } from '../../src/models/showo/sampler';
import { showoSpecs } from '../../src/models/showo/transformer';
import { type LargeModel, spend, type Spent, type WorkTiming } from './work';

/** As published: 50 steps, guidance 5. */
const SAMPLING = { steps: 50, guidanceScale: 5 } as const;

/** Tokens of the caption: what a sentence has. */
const CAPTION = 12;

/** The whole of Show-o. @param lengths codes of an image that are measured by default, each a square */
export function showoLarge(config: ShowoConfig, imageTokenizer: MagvitConfig, lengths: readonly number[]): LargeModel {
  const file: ShowoFile = { model_type: 'showo', transformer: config, tokenizer: imageTokenizer };
  return {
    part: 'transformer and image tokenizer',
    files: { 'model.safetensors': showoSpecs(config), 'tokenizer.safetensors': magvitSpecs(imageTokenizer) },
    config: file,
    work: 'images',
    lengths,
    async load(folder) {
      const model = await ShowoModel.fromPretrained(folder);
      const parameters = model.parameters.count() + model.imageTokenizer.parameters.count();
      return { parameters, run: (length, count) => draw(model, length, count) };
    },
  };
}

/**
 * One guided image on its way, and what it would be if it stopped there, in pixels. Positions are rotary, so that one
 * checkpoint draws images of every size.
 * @throws RangeError for a number of codes that fills no square
 */
async function draw(model: ShowoModel, codes: number, steps: number): Promise<WorkTiming> {
  if (!Number.isInteger(Math.sqrt(codes))) throw new RangeError(`${codes} codes fill no square`);
  const sized = new ShowoModel({ ...model.config, num_vq_tokens: codes }, model.parameters, model.imageTokenizer);
  const caption = Array.from({ length: CAPTION }, (_, i) => (i * 7919 + 11) % model.config.llm_vocab_size);
  const batch = new ImageBatch(sized, [caption], [new Rng(1)], SAMPLING);
  const each: Spent[] = [];
  for (let i = 0; i < steps; i++) each.push(await spend(() => batch.advance()));
  const whole = await spend(() => void readValues(() => model.imageTokenizer.decode(batch.predicted)));
  return { whole, each };
}
