/** What may stand around Janus' layers, and what of a model is its own. */
import type { Lora } from '../../nn/adapters';
import { withCheckpointing } from '../../nn/checkpointing';
import { LlamaBlock } from '../../nn/llama';
import type { ConceptTokens } from './concept-tokens';
import { type JanusLayers, JanusNetwork } from './network';

export interface Around {
  readonly adapters?: Lora<JanusLayers>;
  /** Whether blocks of the language model are computed again for the gradient. Default false. */
  readonly checkpointing?: boolean;
}

/** What of a model is its own. A copy under adapters shares its weights with its original, which disposes them. */
export interface Ownership {
  readonly learns: boolean;
  readonly store: boolean;
}

/** Everything. */
export const WHOLE: Ownership = { learns: true, store: true };

/** The network that computes. @param base without anything around its layers */
export function networkOf(
  { config, store, layers }: JanusNetwork,
  concept: ConceptTokens | undefined,
  { adapters, checkpointing }: Around,
): JanusNetwork {
  const adapted = adapters?.net ?? layers;
  const network = new JanusNetwork(config, store, checkpointing ? withCheckpointing(adapted, LlamaBlock) : adapted);
  network.concept = concept;
  return network;
}
