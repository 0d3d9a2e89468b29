/** Layers, their numbers, and what trainers of any model put around them: adapters, checkpointing, frozen parts. */
export { loadAdapters, saveAdapters } from './adapter-files';
export { Lora, type LoraOptions } from './adapters';
export { CheckpointMismatchError, type NameRules } from './checkpoint-fit';
export { withCheckpointing } from './checkpointing';
export { withExtraTokens } from './extra-tokens';
export { type NamePattern, type TrainableOptions, trainableVariables } from './freeze';
export { Conv2d, Embedding, GroupNorm, LayerNorm, Linear, RmsNorm } from './layers';
export { mapTree, Module, Parameter } from './module';
export { ParamStore } from './store';
