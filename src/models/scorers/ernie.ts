/**
 * ERNIE (Sun et al. 2019, 2021) as an encoder of sentences: BERT with a table of tasks. UniCTokens-R1 reads reasoning
 * with it. Hugging Face parameter names. Frozen.
 */
import type { Rng } from '../../engine';
import { BertModel, type BertOptions, loadBert } from './bert';
import type { BertConfig } from './bert/config';
import { ScorerConfigError } from './bert/fields';
import { randomFrozen } from './bert/load';
import { BertNetwork } from './bert/network';

export class ErnieModel extends BertModel {
  /** One with random weights. */
  static override random(config: BertConfig, rng: Rng): ErnieModel {
    return new ErnieModel(randomFrozen(new BertNetwork({ ...config, model_type: 'ernie', pooler: true }), rng));
  }

  /** Loads a folder as {@link BertModel.fromPretrained} does. @throws ScorerConfigError also for a BERT's folder */
  static override async fromPretrained(folder: string, options: BertOptions = {}): Promise<ErnieModel> {
    const network = await loadBert(folder, options);
    if (network.net.config.model_type === 'ernie') return new ErnieModel(network);
    network.parameters.dispose();
    throw new ScorerConfigError(`${folder}: model_type is "bert", expected "ernie"`);
  }
}
