/** Chameleon's layers: LLaMA's decoder with norms on every head's queries and keys, and its output layer. */
import { Llama } from '../../nn/llama';
import type { LlamaConfig } from '../../nn/llama-config';
import { Module } from '../../nn/module';

/** Fields are named as upstream's files name them. */
export class ChameleonLayers extends Module<LlamaConfig> {
  readonly model = new Llama(this.config);
  readonly lm_head = this.model.head();
}
