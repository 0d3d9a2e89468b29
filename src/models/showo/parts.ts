/** What a Show-o model is made of, what of it is its own, and the network that its parts make. */
import type { Lora } from '../../nn/adapters';
import { withCheckpointing } from '../../nn/checkpointing';
import type { ParamStore } from '../../nn/store';
import type { TextTokenizer } from '../../text/tokenizer';
import type { ConceptTokens } from './concept-tokens';
import type { MagvitTokenizer } from './image-tokenizer';
import { PhiBlock, type ShowoLayers } from './layers';
import { ShowoNetwork } from './network';

/** What a model is made of. */
export interface ShowoParts {
  /** The language model's layers with their numbers, and nothing around them. */
  readonly layers: ShowoLayers;
  /** Those numbers. */
  readonly store: ParamStore;
  /** Pixels to codes and back. */
  readonly magvit: MagvitTokenizer;
  readonly tokenizer: TextTokenizer;
  readonly concept?: ConceptTokens;
  readonly adapters?: Lora<ShowoLayers>;
  /** Whether blocks are computed again for the gradient. Default false. */
  readonly checkpointing?: boolean;
}

/** What of a model is its own. A copy shares some of it with its original, which disposes it. */
export interface Ownership {
  readonly learns: boolean;
  readonly store: boolean;
  readonly magvit: boolean;
}

/** Everything. */
export const WHOLE: Ownership = { learns: true, store: true, magvit: true };

/** The layers with what stands around them. */
export function networkOf({ layers, adapters, concept, checkpointing }: ShowoParts): ShowoNetwork {
  const adapted = adapters?.net ?? layers;
  const extended = concept?.attach(adapted) ?? adapted;
  return new ShowoNetwork(checkpointing ? withCheckpointing(extended, PhiBlock) : extended, concept);
}
