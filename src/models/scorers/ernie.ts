/**
 * ERNIE (Sun et al. 2019, 2021) as an encoder of sentences: BERT with a table of tasks. UniCTokens-R1 reads reasoning
 * with it. Hugging Face parameter names. Frozen.
 */
import { type Rng } from '../../engine';
import { Parameters } from '../../nn/parameters';
import { BertModel, type BertOptions, bertSpecs, loadBert } from './bert';
import type { BertConfig } from './bert/config';
import { ScorerConfigError } from './bert/fields';
import { freeze } from './bert/load';

export class ErnieModel extends BertModel {
  /** One with random weights. */
  static override random(config: BertConfig, rng: Rng): ErnieModel {
    return new ErnieModel({ ...config, model_type: 'ernie' }, freeze(Parameters.random(bertSpecs(config), rng)));
  }

  /** Loads a folder as {@link BertModel.fromPretrained} does. @throws ExpertConfigError also for a BERT's folder */
  static override async fromPretrained(folder: string, options: BertOptions = {}): Promise<ErnieModel> {
    const [config, parameters] = await loadBert(folder, options);
    if (config.model_type === 'ernie') return new ErnieModel(config, parameters);
    parameters.dispose();
    throw new ScorerConfigError(`${folder}: model_type is "bert", expected "ernie"`);
  }
}
