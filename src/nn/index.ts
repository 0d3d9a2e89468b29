/** What trainers of any model need of its parameters: adapters, frozen parts, storage. */
export { Bf16Parameters, type NamePattern, type TrainableOptions, trainableVariables } from './freeze';
export { type Adapter, type LoraOptions, LoraParameters } from './lora';
export { loadAdapters, saveAdapters } from './lora-files';
export { CheckpointMismatchError, Parameters, type ParameterSpec, type ParameterSpecs } from './parameters';
