/** What a Chameleon is made of, what of it is its own, and the network that its parts make. */
import type { Lora } from '../../nn/adapters';
import { withCheckpointing } from '../../nn/checkpointing';
import { LlamaBlock } from '../../nn/llama';
import type { ParamStore } from '../../nn/store';
import type { TextTokenizer } from '../../text';
import type { ConceptTokens } from './concept-tokens';
import type { ChameleonConfig } from './config';
import type { ChameleonImageTokenizer } from './image-tokenizer';
import type { ChameleonLayers } from './layers';
import { ChameleonNetwork } from './network';

/** What a model is made of. */
export interface ChameleonParts {
  readonly config: ChameleonConfig;
  /** The language model's layers with their numbers (those of `store`), and nothing around them. */
  readonly layers: ChameleonLayers;
  readonly store: ParamStore;
  readonly imageTokenizer: ChameleonImageTokenizer;
  readonly tokenizer?: TextTokenizer;
  readonly concept?: ConceptTokens;
  readonly adapters?: Lora<ChameleonLayers>;
  /** Whether blocks are computed again for the gradient. Default false. */
  readonly checkpointing?: boolean;
}

/** What of a model is its own. A copy shares some of it with its original, which disposes it. */
export interface Ownership {
  readonly learns: boolean;
  readonly store: boolean;
  readonly imageTokenizer: boolean;
}

/** Everything. */
export const WHOLE: Ownership = { learns: true, store: true, imageTokenizer: true };

/** The layers with what stands around them. */
export function networkOf({ config, layers, adapters, concept, checkpointing }: ChameleonParts): ChameleonNetwork {
  const adapted = adapters?.net ?? layers;
  const extended = concept?.attach(adapted) ?? adapted;
  return new ChameleonNetwork(config, checkpointing ? withCheckpointing(extended, LlamaBlock) : extended, concept);
}
